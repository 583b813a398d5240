/** The route `/numbers`: what every call did, live. */
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Notice } from "@/components/ui/notice";
import { Skeleton } from "@/components/ui/skeleton";
import { ToggleGroup, ToggleGroupItem } from "@/components/ui/toggle-group";
import { useMe } from "@/features/auth/use-me";
import { sentence } from "@/lib/problem";
import { ByModel } from "./by-model";
import { Calls } from "./calls";
import { ChartCards, StatCards } from "./cards";
import { isRange, RANGES, type Range } from "./range";
import { useOverview } from "./use-numbers";

export function NumbersPage() {
  const { range } = useSearch({ from: "/numbers" });
  const me = useMe();
  const overview = useOverview(range);
  const scope = me.data?.role === "admin" ? "All calls" : "Your calls";

  return (
    <div className="h-full overflow-y-auto">
      <title>Numbers · Tailrace</title>
      <div className="mx-auto max-w-7xl space-y-3 px-4 pt-5 pb-10 sm:px-6 sm:pt-6">
        <div className="flex flex-wrap items-end justify-between gap-3 pb-2">
          <div>
            <h1 className="text-xl font-semibold tracking-tight">Numbers</h1>
            <p className="mt-0.5 flex items-center gap-2 text-sm text-muted-foreground">
              {scope} of {RANGES[range].words}
              <Live failing={overview.isError || overview.isRefetchError} />
            </p>
          </div>
          <RangeChoice range={range} />
        </div>

        {overview.isError && (
          <Notice
            tone="destructive"
            role="alert"
            action={
              <Button size="xs" variant="outline" onClick={() => void overview.refetch()}>
                Try again
              </Button>
            }
          >
            The numbers could not be loaded. {sentence(overview.error)}
          </Notice>
        )}

        {overview.data === undefined ? (
          !overview.isError && <NumbersSkeleton />
        ) : overview.data.requests === 0 ? (
          <NoCalls range={range} />
        ) : (
          <>
            <StatCards overview={overview.data} />
            <ChartCards overview={overview.data} />
            <ByModel models={overview.data.by_model} />
            <Calls range={range} />
          </>
        )}
      </div>
    </div>
  );
}

function Live({ failing }: { failing: boolean }) {
  return (
    <span className="flex items-center gap-1.5 text-xs">
      <span className="relative flex size-2">
        {!failing && <span className="absolute inset-0 animate-ping rounded-full bg-success/60" />}
        <span className={`relative size-2 rounded-full ${failing ? "bg-warning" : "bg-success"}`} />
      </span>
      {failing ? "not live" : "live"}
    </span>
  );
}

function RangeChoice({ range }: { range: Range }) {
  const navigate = useNavigate();
  return (
    <ToggleGroup
      type="single"
      value={range}
      aria-label="Time range"
      onValueChange={(next) => {
        // Pressing the current range again must not choose none.
        if (isRange(next))
          void navigate({ to: "/numbers", search: { range: next }, replace: true });
      }}
    >
      {Object.entries(RANGES).map(([value, { label }]) => (
        <ToggleGroupItem key={value} value={value}>
          {label}
        </ToggleGroupItem>
      ))}
    </ToggleGroup>
  );
}

function NoCalls({ range }: { range: Range }) {
  return (
    <Card className="flex flex-col items-center gap-3 px-6 py-20 text-center">
      <h2 className="text-lg font-semibold tracking-tight">No calls in {RANGES[range].words}</h2>
      <p className="max-w-sm text-sm text-muted-foreground">
        Every call to a model shows up here within seconds: its times, its tokens, its cost, and
        whether it failed.
      </p>
      <Button className="mt-2" asChild>
        <Link to="/">Start a chat</Link>
      </Button>
    </Card>
  );
}

function NumbersSkeleton() {
  return (
    <div aria-busy="true" className="space-y-3">
      <span className="sr-only" role="status">
        Loading
      </span>
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        {["requests", "errors", "tokens", "cost"].map((name) => (
          <Skeleton key={name} className="h-28 rounded-xl" />
        ))}
      </div>
      <div className="grid gap-3 xl:grid-cols-3">
        {["over time", "duration", "first chunk"].map((name) => (
          <Skeleton key={name} className="h-64 rounded-xl" />
        ))}
      </div>
      <Skeleton className="h-64 rounded-xl" />
    </div>
  );
}
