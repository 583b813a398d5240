/** The figures of a range, each beside the same of the period before. */
import type { ReactNode } from "react";
import { Card, CardTitle } from "@/components/ui/card";
import { Tooltip } from "@/components/ui/tooltip";
import { formatCost, formatCount, formatRate, formatSeconds, plural, UNKNOWN } from "@/lib/format";
import { cn } from "@/lib/utils";
import type { Distribution, Overview } from "./api";
import { type Change, changeOf, changeOfRate } from "./change";

export function StatCards({ overview }: { overview: Overview }) {
  const { requests, errors, cancelled, unpriced_requests, previous } = overview;
  const tokens = overview.input_tokens + overview.output_tokens;
  const tokens_before = previous.input_tokens + previous.output_tokens;
  const chunk = overview.time_per_output_chunk;
  return (
    <section aria-label="Figures" className="space-y-3">
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          title="Calls"
          value={formatCount(requests)}
          before={formatCount(previous.requests)}
          change={changeOf(requests, previous.requests, "neutral")}
        >
          {cancelled > 0 ? `${formatCount(cancelled)} stopped` : "None stopped"}
        </Stat>
        <Stat
          title="Error rate"
          value={requests === 0 ? UNKNOWN : formatRate(overview.error_rate)}
          before={formatRate(previous.error_rate)}
          change={
            requests > 0 && previous.requests > 0
              ? changeOfRate(overview.error_rate, previous.error_rate, "worse")
              : null
          }
          className={errors > 0 ? "text-destructive" : undefined}
        >
          {errors > 0 ? plural(errors, "error") : "No errors"}
        </Stat>
        <Stat
          title="Tokens"
          value={formatCount(tokens)}
          before={formatCount(tokens_before)}
          change={changeOf(tokens, tokens_before, "neutral")}
        >
          {tokenClasses(overview).join(" · ")}
        </Stat>
        <Stat
          title="Cost"
          value={formatCost(overview.cost_usd)}
          before={formatCost(previous.cost_usd)}
          change={changeOf(amount(overview.cost_usd), amount(previous.cost_usd), "neutral")}
        >
          {unpriced_requests > 0 ? (
            <span className="text-warning">
              {`${plural(unpriced_requests, "call")} without a price, not counted`}
            </span>
          ) : (
            "US dollars"
          )}
        </Stat>
      </div>
      <div className="grid gap-3 md:grid-cols-3">
        <Percentiles title="Duration" now={overview.duration} before={previous.duration} />
        <Percentiles
          title="Time to first chunk"
          now={overview.time_to_first_chunk}
          before={previous.time_to_first_chunk}
        />
        <Percentiles
          title="Time per chunk"
          now={chunk}
          before={previous.time_per_output_chunk}
          note={chunk && chunk.p50 > 0 ? `${formatCount(Math.round(1 / chunk.p50))} chunks/s` : ""}
        />
      </div>
    </section>
  );
}

function amount(cost_usd: string | null): number | null {
  return cost_usd === null ? null : Number(cost_usd);
}

/** `10 in`, `4 from cache`, `20 out`, …: those that there are. */
function tokenClasses(overview: Overview): string[] {
  const parts: [number, string][] = [
    [overview.cache_read_input_tokens, "from cache"],
    [overview.cache_write_input_tokens, "to cache"],
  ];
  const told = parts.filter(([count]) => count > 0);
  const words = ([count, word]: [number, string]) => `${formatCount(count)} ${word}`;
  const reasoning: [number, string][] =
    overview.reasoning_output_tokens > 0 ? [[overview.reasoning_output_tokens, "reasoning"]] : [];
  return [
    words([overview.input_tokens, "in"]),
    ...told.map(words),
    words([overview.output_tokens, "out"]),
    ...reasoning.map(words),
  ];
}

interface StatProps {
  title: string;
  value: string;
  /** The same figure of the period before. */
  before: string;
  change: Change | null;
  children: ReactNode;
  className?: string;
}

function Stat({ title, value, before, change, children, className }: StatProps) {
  return (
    <Card className="min-w-0 px-4 py-4 sm:px-5" aria-label={title}>
      <CardTitle>{title}</CardTitle>
      <p className="mt-1.5 flex flex-wrap items-baseline gap-x-2">
        <span
          className={cn(
            "truncate text-2xl font-semibold tracking-tight tabular-nums sm:text-[1.75rem]",
            className,
          )}
        >
          {value}
        </span>
        <ChangeNote change={change} before={before} />
      </p>
      <p className="mt-1 text-xs text-muted-foreground tabular-nums">{children}</p>
    </Card>
  );
}

const TONES: Record<Change["tone"], string> = {
  neutral: "text-muted-foreground",
  better: "text-success",
  worse: "text-destructive",
};

function ChangeNote({ change, before }: { change: Change | null; before: string }) {
  if (change === null) return null;
  return (
    <Tooltip content={`${before} in the period before`}>
      <span className={cn("text-xs whitespace-nowrap tabular-nums", TONES[change.tone])}>
        {change.text}
        <span className="sr-only">, {before} in the period before</span>
      </span>
    </Tooltip>
  );
}

function Percentiles({
  title,
  now,
  before,
  note,
}: {
  title: string;
  now: Distribution | null;
  before: Distribution | null;
  note?: string;
}) {
  return (
    <Card className="min-w-0 px-4 py-3.5 sm:px-5" aria-label={title}>
      <div className="flex items-baseline justify-between gap-2">
        <CardTitle>{title}</CardTitle>
        {note && <span className="text-xs text-muted-foreground tabular-nums">{note}</span>}
      </div>
      <dl className="mt-2 grid grid-cols-3 gap-2 tabular-nums">
        {(["p50", "p95", "p99"] as const).map((name) => (
          <div key={name} className="min-w-0">
            <dt className="text-xs text-muted-foreground">{name}</dt>
            <dd>
              <span className="block text-lg font-semibold tracking-tight">
                {formatSeconds(now?.[name])}
              </span>
              <ChangeNote
                change={changeOf(now?.[name], before?.[name], "worse")}
                before={formatSeconds(before?.[name])}
              />
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
