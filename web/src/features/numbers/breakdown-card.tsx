/** The range's numbers, one row a model, a provider, a user, … A row narrows the page to itself. */
import { useState } from "react";
import { Loading } from "@/components/loading";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Select } from "@/components/ui/select";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { formatCost, formatCount, formatRate, formatSeconds } from "@/lib/format";
import { cn } from "@/lib/utils";
import type { Breakdown, BreakdownItem, Dimension } from "./api";
import { filterOf, isOfList, nameOf } from "./drill";
import { DIMENSIONS, type NumbersSearch } from "./search";
import { ViewMenu } from "./view-menu";

/** Rows that are shown before somebody asks for all. */
const FEW = 10;

interface BreakdownCardProps {
  by: Dimension;
  breakdown: Breakdown | undefined;
  error: unknown;
  retry: () => void;
  is_admin: boolean;
  url: (format: "csv" | "json") => string;
  onChange: (change: Partial<NumbersSearch>) => void;
}

export function BreakdownCard({
  by,
  breakdown,
  error,
  retry,
  is_admin,
  url,
  onChange,
}: BreakdownCardProps) {
  const dimensions = (Object.keys(DIMENSIONS) as Dimension[]).filter(
    (each) => is_admin || each !== "user",
  );
  return (
    <Card className="min-w-0 pb-2" aria-label="Breakdown">
      <div className="flex items-center gap-2 px-4 pt-3 pb-2 sm:px-5">
        <h2 className="text-sm font-medium text-muted-foreground">By</h2>
        <Select
          aria-label="Break down by"
          value={by}
          onChange={({ currentTarget }) => onChange({ by: currentTarget.value as Dimension })}
        >
          {dimensions.map((each) => (
            <option key={each} value={each}>
              {DIMENSIONS[each]}
            </option>
          ))}
        </Select>
        <span className="flex-1" />
        <ViewMenu title={`By ${by.replace("_", " ")}`} url={url} />
      </div>
      {breakdown === undefined ? (
        <div className="px-5 py-3">
          <Loading what="The table" error={error} retry={retry} />
        </div>
      ) : breakdown.items.length === 0 ? (
        <p className="border-t px-5 py-8 text-center text-sm text-muted-foreground">
          {by === "error_type" ? "No call failed in this range." : "No calls in this range."}
        </p>
      ) : (
        <Rows breakdown={breakdown} onChange={onChange} />
      )}
    </Card>
  );
}

function Rows({
  breakdown: { by, items, truncated, from, to },
  onChange,
}: {
  breakdown: Breakdown;
  onChange: BreakdownCardProps["onChange"];
}) {
  const [all, setAll] = useState(false);
  const is_short = isOfList(by);
  const days = (Date.parse(to) - Date.parse(from)) / 86_400_000;
  const total = items.reduce((sum, { requests }) => sum + requests, 0);
  return (
    <>
      <Table>
        <caption className="sr-only">Calls by {DIMENSIONS[by].toLowerCase()}</caption>
        <thead>
          <tr>
            <TableHead>{DIMENSIONS[by]}</TableHead>
            <TableHead className="text-right">Calls</TableHead>
            {!is_short && (
              <>
                <TableHead className="text-right">Errors</TableHead>
                {by !== "user" && (
                  <>
                    <TableHead className="text-right">Duration p50 / p95</TableHead>
                    <TableHead className="text-right">First chunk p50</TableHead>
                  </>
                )}
                <TableHead className="text-right">Tokens in / out</TableHead>
                <TableHead className="text-right">Cost</TableHead>
              </>
            )}
          </tr>
        </thead>
        <tbody>
          {(all ? items : items.slice(0, FEW)).map((item) => (
            <Row
              key={nameOf(by, item) + (item.owner_id ?? "")}
              by={by}
              item={item}
              share={total === 0 ? 0 : item.requests / total}
              onChange={onChange}
            />
          ))}
        </tbody>
      </Table>
      {items.length > FEW && (
        <div className="px-2 pt-2">
          <Button variant="ghost" size="sm" className="w-full" onClick={() => setAll(!all)}>
            {all ? `Show the first ${FEW}` : `Show all ${items.length}`}
          </Button>
        </div>
      )}
      {by === "user" && days > 2 && (
        <p className="px-5 pt-1 text-xs text-muted-foreground">
          Users are told apart by whole days (UTC): of the first and the last day, all of it counts.
        </p>
      )}
      {truncated && (
        <p className="px-5 pt-1 text-xs text-muted-foreground">
          There are more than these. A shorter range or a filter shows the others.
        </p>
      )}
    </>
  );
}

function Row({
  by,
  item,
  share,
  onChange,
}: {
  by: Dimension;
  item: BreakdownItem;
  share: number;
  onChange: BreakdownCardProps["onChange"];
}) {
  const filter = filterOf(by, item);
  const name = nameOf(by, item);
  return (
    <TableRow className={cn("relative", filter && "transition-colors hover:bg-accent/50")}>
      <TableCell className="max-w-40 sm:max-w-72">
        {filter && (
          <button
            type="button"
            aria-label={`Show only ${name}`}
            onClick={() => onChange(filter)}
            className="absolute inset-0 cursor-pointer outline-none focus-visible:ring-2 focus-visible:ring-ring focus-visible:ring-inset"
          />
        )}
        <span className="block truncate" title={name}>
          {by === "model" ? (
            <>
              <span className="text-muted-foreground">{item.provider_name}/</span>
              {item.request_model}
            </>
          ) : (
            name
          )}
        </span>
        <span
          aria-hidden="true"
          className="mt-1 block h-0.5 rounded-full bg-chart-1/70"
          style={{ width: `${Math.max(1, 100 * share)}%` }}
        />
      </TableCell>
      <TableCell className="text-right">
        {formatCount(item.requests)}
        <span className="text-muted-foreground"> · {formatRate(share)}</span>
      </TableCell>
      {!isOfList(by) && <Sums item={item} latencies={by !== "user"} />}
    </TableRow>
  );
}

function Sums({ item, latencies }: { item: BreakdownItem; latencies: boolean }) {
  const { errors = 0, unpriced_requests = 0 } = item;
  return (
    <>
      <TableCell className={cn("text-right", errors > 0 && "text-destructive")}>
        {formatRate(item.error_rate)}
      </TableCell>
      {latencies && (
        <>
          <TableCell className="text-right">
            {formatSeconds(item.duration?.p50)}
            <span className="text-muted-foreground"> / {formatSeconds(item.duration?.p95)}</span>
          </TableCell>
          <TableCell className="text-right">
            {formatSeconds(item.time_to_first_chunk?.p50)}
          </TableCell>
        </>
      )}
      <TableCell className="text-right">
        {formatCount(item.input_tokens)}
        <span className="text-muted-foreground"> / {formatCount(item.output_tokens)}</span>
      </TableCell>
      <TableCell className="text-right">
        {formatCost(item.cost_usd)}
        {unpriced_requests > 0 && item.cost_usd && (
          <span className="text-warning" title={`${unpriced_requests} calls without a price`}>
            {" "}
            +?
          </span>
        )}
      </TableCell>
    </>
  );
}
