/** How durations or costs are distributed, with the percentiles marked. */
import { useState } from "react";
import { Loading } from "@/components/loading";
import { Card } from "@/components/ui/card";
import { Select } from "@/components/ui/select";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { formatAxisSeconds, formatCost, formatCount, formatSeconds, plural } from "@/lib/format";
import type { Histogram, Measured } from "./api";
import { barsOf, ticksOf } from "./histogram";
import { MEASURED } from "./search";
import { ViewMenu } from "./view-menu";

const BARS = 48;
const MARKS = ["p50", "p90", "p95", "p99"] as const;

interface HistogramCardProps {
  of: Measured;
  histogram: Histogram | undefined;
  error: unknown;
  retry: () => void;
  url: (format: "csv" | "json") => string;
  onChange: (of: Measured) => void;
}

export function HistogramCard({ of, histogram, error, retry, url, onChange }: HistogramCardProps) {
  const [table, setTable] = useState(false);
  return (
    <Card className="flex min-w-0 flex-col px-4 pt-3 pb-4 sm:px-5" aria-label="Distribution">
      <div className="mb-2 flex items-center gap-2">
        <h2 className="text-sm font-medium whitespace-nowrap text-muted-foreground">
          Distribution of
        </h2>
        <Select
          aria-label="Distribution of"
          value={of}
          onChange={({ currentTarget }) => onChange(currentTarget.value as Measured)}
        >
          {Object.entries(MEASURED).map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </Select>
        <span className="flex-1" />
        <ViewMenu title="Distribution" url={url} table={table} onTable={setTable} />
      </div>
      {histogram === undefined ? (
        <Loading what="The distribution" error={error} retry={retry} />
      ) : histogram.distribution === null ? (
        <p className="flex h-48 items-center justify-center text-sm text-muted-foreground">
          Nothing was measured in this range.
        </p>
      ) : (
        <Picture histogram={histogram} table={table} />
      )}
    </Card>
  );
}

function formatOf(of: Measured): (value: number) => string {
  return of === "cost_usd" ? (value) => formatCost(String(value)) : formatSeconds;
}

function Picture({ histogram, table }: { histogram: Histogram; table: boolean }) {
  const { of, distribution } = histogram;
  const format = formatOf(of);
  const { bars, zeros, position } = barsOf(histogram.items, BARS);
  const most = Math.max(...bars.map(({ count }) => count), 1);
  const first = bars[0];
  const last = bars[bars.length - 1];
  const formatTick = of === "cost_usd" ? format : formatAxisSeconds;
  return (
    <>
      <dl className="mb-3 flex flex-wrap gap-x-5 gap-y-1 tabular-nums">
        {(["mean", ...MARKS, "max"] as const).map((name) => {
          const value = distribution?.[name];
          if (value === undefined) return null;
          return (
            <div key={name}>
              <dt className="text-xs text-muted-foreground">{name}</dt>
              <dd className="text-sm font-medium">{format(value)}</dd>
            </div>
          );
        })}
      </dl>
      {table ? (
        <BarsTable histogram={histogram} />
      ) : (
        <div aria-hidden="true" className="flex min-h-40 flex-1 flex-col">
          <div className="relative min-h-32 flex-1 border-b">
            <div className="absolute inset-0 flex items-end gap-px">
              {bars.map(({ lower, upper, count }) => (
                <div
                  key={lower}
                  title={`${format(lower)} to ${format(upper)}: ${plural(count, "call")}`}
                  className="flex h-full min-w-0 flex-1 items-end"
                >
                  <div
                    className="w-full rounded-t-xs bg-chart-1"
                    // What is there shows, however little it is beside the most frequent.
                    style={{ height: count === 0 ? 0 : `max(2px, ${(100 * count) / most}%)` }}
                  />
                </div>
              ))}
            </div>
            {distribution &&
              MARKS.map((name) => (
                <div
                  key={name}
                  className="pointer-events-none absolute inset-y-0 border-l border-dashed border-chart-2"
                  style={{ left: `${100 * position(distribution[name])}%` }}
                />
              ))}
          </div>
          <div className="relative mt-1 h-4 text-[11px] text-muted-foreground">
            {first &&
              last &&
              ticksOf(first.lower, last.upper, 6).map((value) => (
                <span
                  key={value}
                  className="absolute -translate-x-1/2 whitespace-nowrap"
                  style={{ left: `${Math.min(96, Math.max(4, 100 * position(value)))}%` }}
                >
                  {formatTick(value)}
                </span>
              ))}
          </div>
        </div>
      )}
      {zeros > 0 && (
        <p className="mt-2 text-xs text-muted-foreground">
          Not on the axis: {plural(zeros, "call")} of {format(0)}.
        </p>
      )}
    </>
  );
}

function BarsTable({ histogram }: { histogram: Histogram }) {
  const format = formatOf(histogram.of);
  return (
    <div className="-mx-4 h-48 overflow-y-auto sm:-mx-5">
      <Table>
        <caption className="sr-only">{MEASURED[histogram.of]}, calls by size</caption>
        <thead>
          <tr>
            <TableHead>Above</TableHead>
            <TableHead>Up to</TableHead>
            <TableHead className="text-right">Calls</TableHead>
          </tr>
        </thead>
        <tbody>
          {histogram.items.map(({ lower, upper, count }) => (
            <TableRow key={upper}>
              <TableCell>{format(lower)}</TableCell>
              <TableCell>{format(upper)}</TableCell>
              <TableCell className="text-right">{formatCount(count)}</TableCell>
            </TableRow>
          ))}
        </tbody>
      </Table>
    </div>
  );
}
