/** The route `/numbers`: what every call did, live. */
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { PauseIcon, PlayIcon, RefreshCwIcon } from "lucide-react";
import { Busy, LoadFailure } from "@/components/loading";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Skeleton } from "@/components/ui/skeleton";
import { Tooltip } from "@/components/ui/tooltip";
import { useMe } from "@/features/auth/use-me";
import { useStore } from "@/lib/store";
import { TIME_ZONE, type View, viewUrl } from "./api";
import { BreakdownCard } from "./breakdown-card";
import { CallSheet } from "./call-sheet";
import { Calls } from "./calls";
import { ChartCards } from "./chart-cards";
import { FilterBar } from "./filter-bar";
import { HistogramCard } from "./histogram-card";
import { NumbersFrame } from "./numbers-frame";
import { type Chosen, refreshEvery, spanOf, wordsOf } from "./range";
import { customOf, RangePicker } from "./range-picker";
import { filtersOf, isFiltered, type NumbersSearch, narrowsList, withoutFilters } from "./search";
import { StatCards } from "./stat-cards";
import { TopCard } from "./top-card";
import { refreshes, refreshNow, useView } from "./use-numbers";
import { ViewMenu } from "./view-menu";

const TOP = 8;

export function NumbersPage() {
  const search = useSearch({ from: "/numbers" });
  const navigate = useNavigate();
  const me = useMe();
  const is_admin = me.data?.role === "admin";
  const overview = useView({ name: "overview", tz: TIME_ZONE }, search);

  const change = (change: Partial<NumbersSearch>, replace = true) =>
    void navigate({ to: "/numbers", search: { ...search, ...change }, replace });
  const drill = (more: Partial<NumbersSearch>) => {
    // What somebody has drilled into, they can come back from.
    change(more, false);
    // Only the list shows what narrows nothing else.
    if (narrowsList(more)) document.getElementById("calls")?.scrollIntoView({ block: "start" });
  };
  const choose = (chosen: Chosen) =>
    change({ from: undefined, to: undefined, ...chosen }, chosen.range !== "custom");
  const url = (view: View, format: "csv" | "json") =>
    viewUrl(
      view,
      spanOf(search, new Date()),
      filtersOf(search),
      format === "csv" ? format : undefined,
    );

  return (
    <NumbersFrame
      title="Numbers"
      is_admin={is_admin}
      about={
        <>
          {is_admin ? "All calls" : "Your calls"} of {wordsOf(search)}
          <Refreshing
            search={search}
            failing={overview.isError || overview.isRefetchError}
            fetching={overview.isFetching}
          />
        </>
      }
      action={<RangePicker chosen={search} onChange={choose} />}
    >
      <div className="flex items-start justify-between gap-2">
        <FilterBar search={search} is_admin={is_admin} onChange={drill} />
        <ViewMenu
          title="Overview"
          url={(format) => url({ name: "overview", tz: TIME_ZONE }, format)}
        />
      </div>

      {overview.isError && (
        <LoadFailure
          what="The numbers"
          error={overview.error}
          retry={() => void overview.refetch()}
        />
      )}

      {overview.data === undefined ? (
        !overview.isError && <NumbersSkeleton />
      ) : overview.data.requests === 0 ? (
        <NoCalls search={search} onChange={drill} />
      ) : (
        <>
          <StatCards overview={overview.data} />
          <Views
            search={search}
            is_admin={is_admin}
            url={url}
            onChange={change}
            onDrill={drill}
            onZoom={choose}
          />
        </>
      )}
      <CallSheet id={search.call} onChange={drill} onClose={() => change({ call: undefined })} />
    </NumbersFrame>
  );
}

interface ViewsProps {
  search: NumbersSearch;
  is_admin: boolean;
  url: (view: View, format: "csv" | "json") => string;
  onChange: (change: Partial<NumbersSearch>) => void;
  onDrill: (change: Partial<NumbersSearch>) => void;
  onZoom: (chosen: Chosen) => void;
}

function Views({ search, is_admin, url, onChange, onDrill, onZoom }: ViewsProps) {
  const views = {
    series: { name: "series", tz: TIME_ZONE, bucket: search.bucket },
    breakdown: {
      name: "breakdown",
      by: search.by === "user" && !is_admin ? "model" : (search.by ?? "model"),
    },
    histogram: { name: "histogram", of: search.of ?? "duration" },
    top: { name: "top", by: search.top ?? "duration", limit: TOP },
  } as const;
  const series = useView(views.series, search);
  const breakdown = useView(views.breakdown, search);
  const histogram = useView(views.histogram, search);
  const top = useView(views.top, search);
  const open = (call: string) => onChange({ call });

  return (
    <>
      <ChartCards
        series={series.data}
        error={series.error}
        retry={() => void series.refetch()}
        bucket={search.bucket}
        view={views.series}
        url={url}
        onChange={onChange}
        onZoom={(span) => onZoom(customOf(span))}
      />
      <BreakdownCard
        by={views.breakdown.by}
        breakdown={breakdown.data}
        error={breakdown.error}
        retry={() => void breakdown.refetch()}
        is_admin={is_admin}
        url={(format) => url(views.breakdown, format)}
        onChange={(change) => ("by" in change ? onChange(change) : onDrill(change))}
      />
      <div className="grid gap-3 xl:grid-cols-2">
        <HistogramCard
          of={views.histogram.of}
          histogram={histogram.data}
          error={histogram.error}
          retry={() => void histogram.refetch()}
          url={(format) => url(views.histogram, format)}
          onChange={(of) => onChange({ of })}
        />
        <TopCard
          by={views.top.by}
          items={top.data?.items}
          error={top.error}
          retry={() => void top.refetch()}
          url={(format) => url(views.top, format)}
          onChange={onChange}
          onOpen={open}
        />
      </div>
      <Calls search={search} onChange={onDrill} onOpen={open} />
    </>
  );
}

function Refreshing({
  search,
  failing,
  fetching,
}: {
  search: NumbersSearch;
  failing: boolean;
  fetching: boolean;
}) {
  const on = useStore(refreshes);
  const is_live = on && refreshEvery(search) !== false;
  const label = failing ? "not live" : is_live ? "live" : on ? "as it was" : "paused";
  return (
    <span className="flex items-center gap-1 text-xs">
      <span className="relative mr-0.5 flex size-2" aria-hidden="true">
        {is_live && !failing && (
          <span className="absolute inset-0 animate-ping rounded-full bg-success/60" />
        )}
        <span
          className={`relative size-2 rounded-full ${
            failing ? "bg-warning" : is_live ? "bg-success" : "bg-muted-foreground"
          }`}
        />
      </span>
      {label}
      {refreshEvery(search) !== false && (
        <Tooltip content={on ? "Pause" : "Go on by itself"}>
          <Button
            variant="ghost"
            size="icon-xs"
            aria-label="Refresh automatically"
            aria-pressed={on}
            onClick={() => refreshes.set(!on)}
          >
            {on ? <PauseIcon /> : <PlayIcon />}
          </Button>
        </Tooltip>
      )}
      {!is_live && (
        <Tooltip content="Refresh">
          <Button variant="ghost" size="icon-xs" aria-label="Refresh" onClick={refreshNow}>
            <RefreshCwIcon className={fetching ? "animate-spin" : undefined} />
          </Button>
        </Tooltip>
      )}
    </span>
  );
}

function NoCalls({
  search,
  onChange,
}: {
  search: NumbersSearch;
  onChange: (change: Partial<NumbersSearch>) => void;
}) {
  const filtered = isFiltered(search);
  return (
    <Card className="flex flex-col items-center gap-3 px-6 py-20 text-center">
      <h2 className="text-lg font-semibold tracking-tight">
        {filtered ? "No such calls" : "No calls"} in {wordsOf(search)}
      </h2>
      <p className="max-w-sm text-sm text-muted-foreground">
        {filtered
          ? "Nothing fits all of the filters. Clear them, or choose a longer range."
          : "Every call to a model shows up here within seconds: its times, its tokens, its cost, and whether it failed."}
      </p>
      {filtered ? (
        <Button className="mt-2" onClick={() => onChange(withoutFilters(search))}>
          Show all calls
        </Button>
      ) : (
        <Button className="mt-2" asChild>
          <Link to="/">Start a chat</Link>
        </Button>
      )}
    </Card>
  );
}

function NumbersSkeleton() {
  return (
    <Busy className="space-y-3">
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        {["calls", "errors", "tokens", "cost"].map((name) => (
          <Skeleton key={name} className="h-28 rounded-xl" />
        ))}
      </div>
      <div className="grid gap-3 lg:grid-cols-2 2xl:grid-cols-3">
        {["over time", "duration", "first chunk"].map((name) => (
          <Skeleton key={name} className="h-60 rounded-xl" />
        ))}
      </div>
      <Skeleton className="h-64 rounded-xl" />
    </Busy>
  );
}
