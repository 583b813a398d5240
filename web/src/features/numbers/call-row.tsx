/** One call of a list. The row opens its details. */
import { RotateCwIcon } from "lucide-react";
import type { ReactNode } from "react";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { modelName } from "@/features/chat/models";
import { formatCost, formatCount, formatSeconds } from "@/lib/format";
import type { CallItem } from "./api";
import { CallStatusBadge } from "./call-status";

interface CallTableProps {
  caption: string;
  /** Half as wide as the page: what is not needed to tell calls apart is in their details. */
  compact?: boolean;
  children: ReactNode;
}

export function CallTable({ caption, compact = false, children }: CallTableProps) {
  return (
    <Table>
      <caption className="sr-only">{caption}</caption>
      <thead>
        <tr>
          <TableHead>Time</TableHead>
          <TableHead>Status</TableHead>
          <TableHead>Model</TableHead>
          {!compact && <TableHead className="hidden sm:table-cell">Kind</TableHead>}
          <TableHead className="text-right">Duration</TableHead>
          {!compact && (
            <>
              <TableHead className="hidden text-right md:table-cell">First chunk</TableHead>
              <TableHead className="hidden text-right lg:table-cell">Tokens in / out</TableHead>
            </>
          )}
          <TableHead className="hidden text-right sm:table-cell">Cost</TableHead>
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </Table>
  );
}

interface CallRowProps {
  call: CallItem;
  compact?: boolean;
  onOpen: (id: string) => void;
}

export function CallRow({ call, compact = false, onOpen }: CallRowProps) {
  const about = call.usage_estimated ? "≈ " : "";
  return (
    <TableRow className="relative transition-colors hover:bg-accent/50">
      <TableCell>
        {/* The button covers its row: one target for the pointer, one stop for the keyboard. */}
        <button
          type="button"
          onClick={() => onOpen(call.id)}
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
        {call.error_type && (
          <span className="block text-xs text-muted-foreground">{call.error_type}</span>
        )}
      </TableCell>
      <TableCell className="max-w-28 sm:max-w-56">
        <span className="block truncate">{call.request_model}</span>
        {call.fallback_from !== null && (
          <span className="block truncate text-xs text-muted-foreground">
            instead of {modelName(call.fallback_from)}
          </span>
        )}
      </TableCell>
      {!compact && (
        <TableCell className="hidden text-muted-foreground sm:table-cell">{call.kind}</TableCell>
      )}
      <TableCell className="text-right">{formatSeconds(call.duration)}</TableCell>
      {!compact && (
        <>
          <TableCell className="hidden text-right md:table-cell">
            {formatSeconds(call.time_to_first_chunk)}
          </TableCell>
          <TableCell className="hidden text-right lg:table-cell">
            {about}
            {formatCount(call.input_tokens)}
            <span className="text-muted-foreground"> / {formatCount(call.output_tokens)}</span>
          </TableCell>
        </>
      )}
      <TableCell className="hidden text-right sm:table-cell">
        {call.unpriced ? (
          <span className="text-muted-foreground">no price</span>
        ) : (
          formatCost(call.cost_usd)
        )}
      </TableCell>
    </TableRow>
  );
}
