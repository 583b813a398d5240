/** The calls of a range, newest first, or as they come in. A row opens the call's details. */
import { XIcon } from "lucide-react";
import { useCallback, useState } from "react";
import { Button } from "@/components/ui/button";
import { Card, CardTitle } from "@/components/ui/card";
import { Label } from "@/components/ui/label";
import { Notice } from "@/components/ui/notice";
import { Skeleton } from "@/components/ui/skeleton";
import { Switch } from "@/components/ui/switch";
import { sentence } from "@/lib/problem";
import { exportUrl } from "./api";
import { CallRow, CallTable } from "./call-row";
import { type LiveState, merge, useLiveCalls } from "./live";
import { spanOf } from "./range";
import { filtersOf, type ListFilters, listFiltersOf, matches, type NumbersSearch } from "./search";
import { backToNewest, useCalls } from "./use-numbers";
import { ViewMenu } from "./view-menu";

const NAMES: Record<keyof ListFilters, string> = {
  error_type: "error class",
  finish_reason: "finish reason",
  conversation_id: "conversation",
};

interface CallsProps {
  search: NumbersSearch;
  onChange: (change: Partial<NumbersSearch>) => void;
  onOpen: (id: string) => void;
}

export function Calls({ search, onChange, onOpen }: CallsProps) {
  const [tail, setTail] = useState(false);
  // What has come to its end gets no new calls.
  const follows = tail && search.range !== "custom";
  const calls = useCalls(search, follows);
  const { refetch } = calls;
  const refresh = useCallback(() => void refetch(), [refetch]);
  const live = useLiveCalls(follows, search.user_id, refresh);

  const only = { ...filtersOf(search), ...listFiltersOf(search) };
  const listed = calls.data?.pages.flatMap((page) => page.items) ?? [];
  const items = merge(follows ? live.calls.filter((call) => matches(call, only)) : [], listed);
  const is_paged = (calls.data?.pages.length ?? 0) > 1;

  return (
    <Card className="min-w-0" aria-label="List of calls" id="calls">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2 px-4 pt-3 pb-2 sm:px-5">
        <CardTitle>Calls</CardTitle>
        <Chips only={listFiltersOf(search)} onChange={onChange} />
        <span className="flex-1" />
        {is_paged && (
          <Button variant="outline" size="xs" onClick={() => backToNewest(search)}>
            Back to the newest
          </Button>
        )}
        {search.range !== "custom" && (
          <span className="flex items-center gap-2">
            <TailState state={live.state} />
            <Label htmlFor="live-tail" className="text-xs font-normal text-muted-foreground">
              Live tail
            </Label>
            <Switch id="live-tail" checked={tail} onCheckedChange={setTail} />
          </span>
        )}
        <ViewMenu
          title="Calls"
          url={(format) => exportUrl(spanOf(search, new Date()), only, format)}
        />
      </div>
      {calls.isError && (
        <Notice tone="destructive" role="alert" className="mx-5 mb-4">
          The calls could not be loaded. {sentence(calls.error)}
        </Notice>
      )}
      {calls.isPending ? (
        <RowsSkeleton />
      ) : (
        <CallTable caption="Calls, the newest first">
          {items.map((call) => (
            <CallRow key={call.id} call={call} onOpen={onOpen} />
          ))}
        </CallTable>
      )}
      {calls.isSuccess && items.length === 0 && (
        <p className="border-t px-5 py-8 text-center text-sm text-muted-foreground">
          No such calls in this range.
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
    </Card>
  );
}

/** What narrows the list alone, each to be taken away. */
function Chips({ only, onChange }: { only: ListFilters; onChange: CallsProps["onChange"] }) {
  const names = Object.keys(only) as (keyof ListFilters)[];
  return names.map((name) => (
    <Button
      key={name}
      variant="secondary"
      size="xs"
      className="max-w-56"
      aria-label={`Do not narrow by ${NAMES[name]}`}
      onClick={() => onChange({ [name]: undefined })}
    >
      <span className="truncate">
        {NAMES[name]}
        {name !== "conversation_id" && `: ${only[name]}`}
      </span>
      <XIcon />
    </Button>
  ));
}

const TAIL_STATES: Record<LiveState, string> = {
  off: "",
  connecting: "connecting…",
  live: "following",
  broken: "not following: the server refused",
};

function TailState({ state }: { state: LiveState }) {
  return (
    <span role="status" className="text-xs text-muted-foreground">
      {TAIL_STATES[state]}
    </span>
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
