/** A moment in local time; its tooltip tells it in UTC, as the server's logs do. */
import { Tooltip } from "@/components/ui/tooltip";
import { formatTime, formatUtc } from "@/lib/format";

export function Time({ iso, className }: { iso: string; className?: string }) {
  return (
    <Tooltip content={formatUtc(iso)}>
      <time dateTime={iso} className={className}>
        {formatTime(iso)}
      </time>
    </Tooltip>
  );
}
