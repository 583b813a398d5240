/** The range over time: how many calls and how they ended, their times, their tokens, their cost. */
import { type ReactNode, useState } from "react";
import { Loading } from "@/components/loading";
import { Card, CardTitle } from "@/components/ui/card";
import { Select } from "@/components/ui/select";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import {
  formatAxisSeconds,
  formatCost,
  formatCount,
  formatSeconds,
  formatTime,
} from "@/lib/format";
import type { Distribution, Series, SeriesPoint, View } from "./api";
import { Chart, type ChartSeries } from "./chart";
import type { Span } from "./range";
import { BUCKETS, type Bucket } from "./search";
import { ViewMenu } from "./view-menu";

type Change = (change: { bucket?: Bucket }) => void;

interface Picture {
  title: string;
  kind: "bars" | "line";
  series: ChartSeries[];
  format: (value: number | null) => string;
  formatAxis: (value: number) => string;
  whole?: boolean;
}

/** Nothing is drawn for none, rather than a line along the ground. */
const some = (value: number) => value || null;
const percentiles = (
  of: (point: SeriesPoint) => Distribution | null,
  colors: [string, string, string],
): ChartSeries[] =>
  (["p50", "p95", "p99"] as const).map((name, index) => ({
    label: name,
    color: colors[index] ?? "--chart-1",
    value: (point) => of(point)?.[name] ?? null,
  }));
const LINES: [string, string, string] = ["--chart-1", "--chart-2", "--chart-3"];
const formatAmount = (value: number | null) => formatCount(value ?? 0);
const formatUsd = (value: number | null) => formatCost(value === null ? null : String(value));
const TIMES = { kind: "line", format: formatSeconds, formatAxis: formatAxisSeconds } as const;

const PICTURES: Picture[] = [
  {
    title: "Calls",
    kind: "bars",
    format: formatAmount,
    formatAxis: formatCount,
    whole: true,
    series: [
      {
        label: "answered",
        color: "--chart-1",
        value: ({ requests, errors, cancelled }) => some(requests - errors - cancelled),
      },
      { label: "stopped", color: "--chart-4", value: ({ cancelled }) => some(cancelled) },
      { label: "failed", color: "--chart-error", value: ({ errors }) => some(errors) },
    ],
  },
  { title: "Duration", series: percentiles(({ duration }) => duration, LINES), ...TIMES },
  {
    title: "Time to first chunk",
    series: percentiles(({ time_to_first_chunk }) => time_to_first_chunk, LINES),
    ...TIMES,
  },
  {
    title: "Tokens",
    kind: "bars",
    format: formatAmount,
    formatAxis: formatCount,
    whole: true,
    series: [
      {
        label: "in",
        color: "--chart-1",
        value: (point) => some(point.input_tokens - point.cache_read_input_tokens),
      },
      {
        label: "from cache",
        color: "--chart-4",
        value: (point) => some(point.cache_read_input_tokens),
      },
      {
        label: "out",
        color: "--chart-2",
        value: (point) => some(point.output_tokens - point.reasoning_output_tokens),
      },
      {
        label: "reasoning",
        color: "--chart-3",
        value: (point) => some(point.reasoning_output_tokens),
      },
    ],
  },
  {
    title: "Time per chunk",
    series: percentiles(({ time_per_output_chunk }) => time_per_output_chunk, LINES),
    ...TIMES,
  },
  {
    title: "Cost",
    kind: "bars",
    format: formatUsd,
    formatAxis: (value) => formatUsd(value),
    series: [
      {
        label: "US dollars",
        color: "--chart-3",
        value: ({ cost_usd }) => (cost_usd === null ? null : some(Number(cost_usd))),
      },
    ],
  },
];

interface ChartCardsProps {
  series: Series | undefined;
  error: unknown;
  retry: () => void;
  bucket: Bucket | undefined;
  view: View;
  url: (view: View, format: "csv" | "json") => string;
  onChange: Change;
  onZoom: (span: Span) => void;
}

export function ChartCards({
  series,
  error,
  retry,
  bucket,
  view,
  url,
  onChange,
  onZoom,
}: ChartCardsProps) {
  return (
    <section aria-label="Over time" className="space-y-3">
      <div className="flex flex-wrap items-center justify-between gap-2 pt-2">
        <h2 className="text-sm font-medium">
          Over time
          <span className="ml-2 text-xs font-normal text-muted-foreground">
            {series && bucketNote(series.bucket_seconds)}
          </span>
        </h2>
        <Select
          aria-label="Resolution"
          value={bucket ?? ""}
          onChange={({ currentTarget }) =>
            onChange({ bucket: BUCKETS.find((each) => each === currentTarget.value) })
          }
        >
          <option value="">Resolution: auto</option>
          {BUCKETS.map((each) => (
            <option key={each} value={each}>
              By {each}
            </option>
          ))}
        </Select>
      </div>
      {error !== null && <Loading what="The charts" error={error} retry={retry} />}
      {series && (
        <div className="grid gap-3 lg:grid-cols-2 2xl:grid-cols-3">
          {PICTURES.map((picture) => (
            <ChartCard
              key={picture.title}
              picture={picture}
              points={series.items}
              url={(format) => url(view, format)}
              onZoom={onZoom}
            />
          ))}
        </div>
      )}
    </section>
  );
}

function ChartCard({
  picture,
  points,
  url,
  onZoom,
}: {
  picture: Picture;
  points: SeriesPoint[];
  url: (format: "csv" | "json") => string;
  onZoom: (span: Span) => void;
}) {
  const [table, setTable] = useState(false);
  const { title, ...drawn } = picture;
  const has_any = points.some((point) => drawn.series.some(({ value }) => value(point) !== null));
  let body: ReactNode = <Chart points={points} onZoom={onZoom} {...drawn} />;
  if (!has_any) body = <Nothing />;
  else if (table) body = <PointsTable picture={picture} points={points} />;
  return (
    <Card className="min-w-0 px-4 pt-3 pb-4 sm:px-5" aria-label={`${title} over time`}>
      <div className="mb-1 flex items-center justify-between gap-2">
        <CardTitle>{title}</CardTitle>
        <ViewMenu title={`${title} over time`} url={url} table={table} onTable={setTable} />
      </div>
      {body}
    </Card>
  );
}

function Nothing() {
  return (
    <p className="flex h-48 items-center justify-center text-sm text-muted-foreground">
      Nothing was measured in this range.
    </p>
  );
}

/** The newest first, without what is empty: what a chart shows, to be read or heard. */
function PointsTable({ picture, points }: { picture: Picture; points: SeriesPoint[] }) {
  const { title, series, format } = picture;
  const rows = points.filter((point) => series.some(({ value }) => value(point) !== null));
  return (
    <div className="-mx-4 h-48 overflow-y-auto sm:-mx-5">
      <Table>
        <caption className="sr-only">{title} over time</caption>
        <thead>
          <tr>
            <TableHead>Time</TableHead>
            {series.map(({ label }) => (
              <TableHead key={label} className="text-right">
                {label}
              </TableHead>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.toReversed().map((point) => (
            <TableRow key={point.start}>
              <TableCell>{formatTime(point.start)}</TableCell>
              {series.map(({ label, value }) => (
                <TableCell key={label} className="text-right">
                  {format(value(point))}
                </TableCell>
              ))}
            </TableRow>
          ))}
        </tbody>
      </Table>
    </div>
  );
}

/** What one bar stands for. */
function bucketNote(bucket_seconds: number | null): string {
  if (bucket_seconds === null) return "each a month";
  if (bucket_seconds < 3_600) return `each ${Math.round(bucket_seconds / 60)} min`;
  if (bucket_seconds < 86_400) return `each ${Math.round(bucket_seconds / 3_600)} h`;
  return `each ${Math.round(bucket_seconds / 86_400)} d`;
}
