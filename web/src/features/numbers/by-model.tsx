/** The range's numbers, one row a model. */
import { Card, CardTitle } from "@/components/ui/card";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import type { ModelNumbers } from "@/lib/api";
import { formatCost, formatCount, formatRate, formatSeconds } from "@/lib/format";
import { cn } from "@/lib/utils";

export function ByModel({ models }: { models: ModelNumbers[] }) {
  return (
    <Card>
      <CardTitle className="px-5 pt-4 pb-2">By model</CardTitle>
      <Table>
        <thead>
          <tr>
            <TableHead>Model</TableHead>
            <TableHead className="text-right">Requests</TableHead>
            <TableHead className="text-right">Errors</TableHead>
            <TableHead className="text-right">Duration p50 / p95</TableHead>
            <TableHead className="text-right">First chunk p50</TableHead>
            <TableHead className="text-right">Tokens in / out</TableHead>
            <TableHead className="text-right">Cost</TableHead>
          </tr>
        </thead>
        <tbody>
          {models.map((row) => (
            <TableRow key={`${row.provider_name}/${row.request_model}`}>
              <TableCell>
                <span className="text-muted-foreground">{row.provider_name}/</span>
                {row.request_model}
              </TableCell>
              <TableCell className="text-right">{formatCount(row.requests)}</TableCell>
              <TableCell className={cn("text-right", row.errors > 0 && "text-destructive")}>
                {formatRate(row.error_rate)}
              </TableCell>
              <TableCell className="text-right">
                {formatSeconds(row.duration_p50)}
                <span className="text-muted-foreground"> / {formatSeconds(row.duration_p95)}</span>
              </TableCell>
              <TableCell className="text-right">
                {formatSeconds(row.time_to_first_chunk_p50)}
              </TableCell>
              <TableCell className="text-right">
                {formatCount(row.input_tokens)}
                <span className="text-muted-foreground"> / {formatCount(row.output_tokens)}</span>
              </TableCell>
              <TableCell className="text-right">{formatCost(row.cost_usd)}</TableCell>
            </TableRow>
          ))}
        </tbody>
      </Table>
    </Card>
  );
}
