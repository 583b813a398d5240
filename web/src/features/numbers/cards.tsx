/** The summary of a range: what was asked, how it went, how long it took, what it used. */
import type { ReactNode } from "react";
import { Card, CardTitle } from "@/components/ui/card";
import type { Overview, Percentiles } from "@/lib/api";
import {
  formatAxisSeconds,
  formatCost,
  formatCount,
  formatRate,
  formatSeconds,
  plural,
  UNKNOWN,
} from "@/lib/format";
import { cn } from "@/lib/utils";
import { Chart, type ChartSeries } from "./chart";

export function StatCards({ overview }: { overview: Overview }) {
  const { requests, errors, cancelled, unpriced_requests } = overview;
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Stat title="Requests" value={formatCount(requests)}>
        {cancelled > 0 ? `${formatCount(cancelled)} stopped` : "None stopped"}
      </Stat>
      <Stat
        title="Error rate"
        value={requests === 0 ? UNKNOWN : formatRate(overview.error_rate)}
        className={errors > 0 ? "text-destructive" : undefined}
      >
        {errors > 0 ? plural(errors, "error") : "No errors"}
      </Stat>
      <Stat title="Tokens" value={formatCount(overview.input_tokens + overview.output_tokens)}>
        {formatCount(overview.input_tokens)} in · {formatCount(overview.output_tokens)} out
      </Stat>
      <Stat title="Cost" value={formatCost(overview.cost_usd)}>
        {unpriced_requests > 0
          ? `${plural(unpriced_requests, "call")} without a price`
          : "US dollars"}
      </Stat>
    </div>
  );
}

interface StatProps {
  title: string;
  value: string;
  children: ReactNode;
  className?: string;
}

function Stat({ title, value, children, className }: StatProps) {
  return (
    <Card className="min-w-0 px-4 py-4 sm:px-5">
      <CardTitle>{title}</CardTitle>
      <p
        className={cn(
          "mt-1.5 truncate text-2xl font-semibold tracking-tight tabular-nums sm:text-[1.75rem]",
          className,
        )}
      >
        {value}
      </p>
      <p className="mt-1 text-xs text-muted-foreground tabular-nums">{children}</p>
    </Card>
  );
}

const COUNTS: ChartSeries[] = [
  {
    label: "Requests",
    color: "--chart-1",
    value: (point) => point.requests,
    format: formatCount,
  },
  {
    label: "Errors",
    color: "--chart-error",
    // Nothing is drawn for none, rather than a line along the ground.
    value: (point) => point.errors || null,
    format: (errors) => formatCount(errors ?? 0),
  },
];
const DURATION: ChartSeries[] = [
  {
    label: "p95",
    color: "--chart-1",
    value: (point) => point.duration_p95,
    format: formatSeconds,
  },
];
const FIRST_CHUNK: ChartSeries[] = [
  {
    label: "p95",
    color: "--chart-2",
    value: (point) => point.time_to_first_chunk_p95,
    format: formatSeconds,
  },
];

export function ChartCards({ overview }: { overview: Overview }) {
  const { series } = overview;
  return (
    <div className="grid gap-3 xl:grid-cols-3">
      <ChartCard title="Requests over time" note={bucketNote(overview.bucket_seconds)}>
        <Chart
          points={series}
          series={COUNTS}
          kind="bars"
          formatAxis={formatCount}
          label="Requests and errors over time"
        />
      </ChartCard>
      <ChartCard title="Duration" percentiles={overview.duration}>
        <Chart
          points={series}
          series={DURATION}
          kind="line"
          formatAxis={formatAxisSeconds}
          label="p95 of duration over time"
        />
      </ChartCard>
      <ChartCard title="Time to first chunk" percentiles={overview.time_to_first_chunk}>
        <Chart
          points={series}
          series={FIRST_CHUNK}
          kind="line"
          formatAxis={formatAxisSeconds}
          label="p95 of the time to the first chunk over time"
        />
      </ChartCard>
    </div>
  );
}

interface ChartCardProps {
  title: string;
  note?: string;
  percentiles?: Percentiles | null;
  children: ReactNode;
}

function ChartCard({ title, note, percentiles, children }: ChartCardProps) {
  return (
    <Card className="min-w-0 px-4 pt-4 pb-4 sm:px-5">
      <div className="mb-2 flex min-h-10 flex-wrap items-start justify-between gap-x-4 gap-y-1">
        <CardTitle>{title}</CardTitle>
        {note && <span className="text-xs text-muted-foreground">{note}</span>}
        {percentiles !== undefined && (
          <dl className="flex gap-4 text-right tabular-nums">
            {(["p50", "p95", "p99"] as const).map((name) => (
              <div key={name}>
                <dt className="text-xs text-muted-foreground">{name}</dt>
                <dd className="text-sm font-medium">{formatSeconds(percentiles?.[name])}</dd>
              </div>
            ))}
          </dl>
        )}
      </div>
      {children}
    </Card>
  );
}

/** What one bar stands for. */
function bucketNote(bucket_seconds: number): string {
  if (bucket_seconds < 60) return `each ${bucket_seconds} s`;
  if (bucket_seconds < 3_600) return `each ${Math.round(bucket_seconds / 60)} min`;
  return `each ${Math.round(bucket_seconds / 3_600)} h`;
}
