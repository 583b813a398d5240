/** How alerts came and went, and who was told. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { XIcon } from "lucide-react";
import { LoadMore } from "@/components/load-more";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card, CardTitle } from "@/components/ui/card";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { byCursor } from "@/lib/query-client";
import { type AlertEvent, alertKeys, alertsApi, type Rule } from "./api";
import { formatValue } from "./rules";
import { StateBadge } from "./state-badge";

/** Milliseconds. */
const EVERY = 10_000;

export function History({ rule, onAll }: { rule: Rule | null; onAll: () => void }) {
  const rule_id = rule?.id ?? null;
  const list = useInfiniteQuery({
    queryKey: alertKeys.history(rule_id),
    queryFn: ({ pageParam, signal }) => alertsApi.history(rule_id, pageParam, signal),
    ...byCursor,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 1) > 1 ? false : EVERY),
  });
  const items = list.data?.pages.flatMap((page) => page.items);
  return (
    <Card className="min-w-0 pb-1" aria-label="History">
      <div className="flex flex-wrap items-center gap-2 px-4 pt-3 pb-2 sm:px-5">
        <CardTitle>History</CardTitle>
        {rule && (
          <Button
            variant="secondary"
            size="xs"
            className="max-w-64"
            aria-label={`Not of ${rule.name} alone`}
            onClick={onAll}
          >
            <span className="truncate">{rule.name}</span>
            <XIcon />
          </Button>
        )}
      </div>
      {items === undefined ? (
        <div className="px-5 py-3">
          <Loading what="The history" error={list.error} retry={() => void list.refetch()} />
        </div>
      ) : items.length === 0 ? (
        <p className="border-t px-5 py-8 text-center text-sm text-muted-foreground">
          Nothing has happened yet.
        </p>
      ) : (
        <Table>
          <caption className="sr-only">Changes of alerts, the newest first</caption>
          <thead>
            <tr>
              <TableHead>Time</TableHead>
              <TableHead>State</TableHead>
              <TableHead>Rule</TableHead>
              <TableHead className="text-right">Value</TableHead>
              <TableHead>Told</TableHead>
            </tr>
          </thead>
          <tbody>
            {items.map((event) => (
              <EventRow key={event.id} event={event} />
            ))}
          </tbody>
        </Table>
      )}
      <div className="px-2">
        <LoadMore list={list} label="Show older" />
      </div>
    </Card>
  );
}

function EventRow({ event }: { event: AlertEvent }) {
  return (
    <TableRow>
      <TableCell>
        <Time iso={event.at} />
      </TableCell>
      <TableCell>
        <StateBadge state={event.state} />
      </TableCell>
      <TableCell className="max-w-64">
        <span className="block truncate">{event.rule_name}</span>
        {event.user_id && (
          <Link
            to="/numbers"
            search={{ range: "24h", user_id: event.user_id }}
            className="block truncate rounded-sm text-xs text-primary underline-offset-4 outline-none hover:underline focus-visible:ring-2 focus-visible:ring-ring"
          >
            this user's calls
          </Link>
        )}
        {event.problem && (
          <span className="block truncate text-xs text-warning">{event.problem}</span>
        )}
      </TableCell>
      <TableCell className="text-right">
        {formatValue(event.kind, event.value)}
        <span className="text-muted-foreground"> / {formatValue(event.kind, event.threshold)}</span>
      </TableCell>
      <TableCell>
        {event.silenced ? (
          <Badge>silenced</Badge>
        ) : event.deliveries.length === 0 ? (
          <span className="text-muted-foreground">nobody</span>
        ) : (
          <span className="flex flex-wrap gap-1">
            {event.deliveries.map((delivery) => (
              <Told key={delivery.target} delivery={delivery} />
            ))}
          </span>
        )}
      </TableCell>
    </TableRow>
  );
}

function Told({ delivery }: { delivery: AlertEvent["deliveries"][number] }) {
  const { target, delivered_at, next_attempt_at, last_error } = delivery;
  if (delivered_at !== null) return <Badge variant="success">{target}</Badge>;
  const is_trying = next_attempt_at !== null;
  return (
    <Badge variant={is_trying ? "warning" : "destructive"} title={last_error ?? undefined}>
      {target}: {is_trying ? "trying" : "given up"}
    </Badge>
  );
}
