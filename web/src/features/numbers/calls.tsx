/** The calls of a range, newest first. A row opens the call's details. */
import { RotateCwIcon } from "lucide-react";
import { useState } from "react";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card, CardTitle } from "@/components/ui/card";
import { Notice } from "@/components/ui/notice";
import { Skeleton } from "@/components/ui/skeleton";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { modelName } from "@/features/chat/models";
import type { Call } from "@/lib/api";
import { formatCost, formatCount, formatSeconds } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { keys, queryClient } from "@/lib/query-client";
import { CallSheet } from "./call-sheet";
import { CallStatusBadge } from "./call-status";
import type { Range } from "./range";
import { useCalls } from "./use-numbers";

export function Calls({ range }: { range: Range }) {
  const calls = useCalls(range);
  const [opened, setOpened] = useState<Call | null>(null);
  const items = calls.data?.pages.flatMap((page) => page.items) ?? [];
  const is_paged = (calls.data?.pages.length ?? 0) > 1;

  return (
    <Card>
      <div className="flex items-center justify-between px-5 pt-4 pb-2">
        <CardTitle>Recent calls</CardTitle>
        {is_paged && (
          <Button
            variant="outline"
            size="xs"
            onClick={() => void queryClient.resetQueries({ queryKey: keys.calls(range) })}
          >
            Back to the newest
          </Button>
        )}
      </div>
      {calls.isError && (
        <Notice tone="destructive" role="alert" className="mx-5 mb-4">
          The calls could not be loaded. {sentence(calls.error)}
        </Notice>
      )}
      {calls.isPending ? (
        <RowsSkeleton />
      ) : (
        <Table>
          <thead>
            <tr>
              <TableHead>Time</TableHead>
              <TableHead>Status</TableHead>
              <TableHead>Model</TableHead>
              <TableHead className="hidden sm:table-cell">Kind</TableHead>
              <TableHead className="text-right">Duration</TableHead>
              <TableHead className="hidden text-right md:table-cell">First chunk</TableHead>
              <TableHead className="hidden text-right lg:table-cell">Tokens in / out</TableHead>
              <TableHead className="hidden text-right lg:table-cell">Cost</TableHead>
            </tr>
          </thead>
          <tbody>
            {items.map((call) => (
              <Row key={call.id} call={call} onOpen={() => setOpened(call)} />
            ))}
          </tbody>
        </Table>
      )}
      {calls.isSuccess && items.length === 0 && (
        <p className="border-t px-5 py-8 text-center text-sm text-muted-foreground">
          No calls in this range.
        </p>
      )}
      {calls.hasNextPage && (
        <div className="border-t p-2">
          <Button
            variant="ghost"
            size="sm"
            className="w-full"
            disabled={calls.isFetchingNextPage}
            onClick={() => void calls.fetchNextPage()}
          >
            {calls.isFetchingNextPage ? "Loading…" : "Show older"}
          </Button>
        </div>
      )}
      <CallSheet call={opened} onClose={() => setOpened(null)} />
    </Card>
  );
}

function Row({ call, onOpen }: { call: Call; onOpen: () => void }) {
  const about = call.usage_estimated ? "≈ " : "";
  return (
    <TableRow className="relative transition-colors hover:bg-accent/50">
      <TableCell>
        {/* The button covers its row: one target for the pointer, one stop for the keyboard. */}
        <button
          type="button"
          onClick={onOpen}
          aria-label={`Details of the call to ${call.request_model}`}
          className="absolute inset-0 cursor-pointer outline-none focus-visible:ring-2 focus-visible:ring-ring focus-visible:ring-inset"
        />
        <Time iso={call.started_at} className="relative cursor-default" />
      </TableCell>
      <TableCell>
        <span className="flex items-center gap-1.5">
          <CallStatusBadge status={call.status} />
          {call.attempts > 1 && (
            <Badge>
              <RotateCwIcon aria-hidden="true" />
              {call.attempts}
              <span className="sr-only"> attempts</span>
            </Badge>
          )}
        </span>
      </TableCell>
      <TableCell className="max-w-56">
        <span className="block truncate">{call.request_model}</span>
        {call.fallback_from !== null && (
          <span className="block truncate text-xs text-muted-foreground">
            instead of {modelName(call.fallback_from)}
          </span>
        )}
      </TableCell>
      <TableCell className="hidden text-muted-foreground sm:table-cell">{call.kind}</TableCell>
      <TableCell className="text-right">{formatSeconds(call.duration)}</TableCell>
      <TableCell className="hidden text-right md:table-cell">
        {formatSeconds(call.time_to_first_chunk)}
      </TableCell>
      <TableCell className="hidden text-right lg:table-cell">
        {about}
        {formatCount(call.input_tokens)}
        <span className="text-muted-foreground"> / {formatCount(call.output_tokens)}</span>
      </TableCell>
      <TableCell className="hidden text-right lg:table-cell">{formatCost(call.cost_usd)}</TableCell>
    </TableRow>
  );
}

function RowsSkeleton() {
  return (
    <div className="space-y-4 px-5 pt-3 pb-5">
      {["a", "b", "c", "d", "e"].map((row) => (
        <Skeleton key={row} className="h-4 w-full" />
      ))}
    </div>
  );
}
