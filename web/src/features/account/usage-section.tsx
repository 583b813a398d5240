/** What one has used of what one may. */
import { useQuery } from "@tanstack/react-query";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { plural } from "@/lib/format";
import { accountApi, accountKeys, type Quota, type Rate } from "./api";
import { amountOf, QUOTA_NAMES, shareOf, usedOf } from "./quotas";
import { Section } from "./section";

export function UsageSection() {
  const usage = useQuery({
    queryKey: accountKeys.usage,
    queryFn: ({ signal }) => accountApi.usage(signal),
    // What is used by an answer is counted within seconds.
    refetchInterval: 10_000,
  });
  return (
    <Section title="Usage" about="What you have used, and what you may.">
      {usage.data === undefined ? (
        <Loading what="Your usage" error={usage.error} retry={() => void usage.refetch()} />
      ) : (
        <div className="space-y-4">
          <ul className="grid gap-4 sm:grid-cols-2">
            {usage.data.quotas.map((quota) => (
              <QuotaMeter key={quota.name} quota={quota} />
            ))}
          </ul>
          {usage.data.pending_tokens > 0 && (
            <p className="text-xs text-muted-foreground">
              Up to {plural(usage.data.pending_tokens, "token")} of answers under way are not
              counted yet.
            </p>
          )}
          {usage.data.rates !== null && usage.data.rates.length > 0 && (
            <ul className="space-y-1 text-xs text-muted-foreground">
              {usage.data.rates.map((rate) => (
                <RateLine key={rate.name} rate={rate} />
              ))}
            </ul>
          )}
        </div>
      )}
    </Section>
  );
}

export function QuotaMeter({ quota }: { quota: Quota }) {
  const { title } = QUOTA_NAMES[quota.name];
  const share = shareOf(quota);
  return (
    <li className="space-y-1.5">
      <div className="flex items-baseline justify-between gap-3 text-sm">
        <span>{title}</span>
        <span className="text-muted-foreground tabular-nums">
          <span className="text-foreground">{usedOf(quota)}</span>
          {quota.limit !== null && ` of ${amountOf(quota.name, quota.limit)}`}
        </span>
      </div>
      {share !== null && (
        <div
          role="progressbar"
          aria-label={title}
          aria-valuenow={Math.round(share * 100)}
          aria-valuemin={0}
          aria-valuemax={100}
          className="h-1 overflow-hidden rounded-full bg-secondary"
        >
          <div
            className={share >= 1 ? "h-full bg-destructive" : "h-full bg-primary"}
            style={{ width: `${share * 100}%` }}
          />
        </div>
      )}
      {quota.unpriced_calls > 0 && (
        <p className="text-xs text-warning">
          {plural(quota.unpriced_calls, "call")} without a price, not counted
        </p>
      )}
      <p className="text-xs text-muted-foreground">
        {quota.limit === null ? "No limit" : quota.own ? "Your own limit" : "Everybody's limit"}
        {quota.limit !== null && (
          <>
            , renewed <Time iso={quota.resets_at} />
          </>
        )}
      </p>
    </li>
  );
}

const RATE_NAMES: Record<string, string> = {
  user: "Messages",
  address: "Messages from this network",
};

function RateLine({ rate }: { rate: Rate }) {
  const span =
    rate.window % 60 === 0 ? plural(rate.window / 60, "minute") : plural(rate.window, "second");
  return (
    <li>
      {RATE_NAMES[rate.name] ?? rate.name}: {rate.remaining} of {rate.limit} left in {span}
    </li>
  );
}
