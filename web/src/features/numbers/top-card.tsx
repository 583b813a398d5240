/** The calls that stand out: the slowest, or the costliest. */
import { Loading } from "@/components/loading";
import { Card } from "@/components/ui/card";
import { ToggleGroup, ToggleGroupItem } from "@/components/ui/toggle-group";
import type { CallItem } from "./api";
import { CallRow, CallTable } from "./call-row";
import type { NumbersSearch } from "./search";
import { ViewMenu } from "./view-menu";

interface TopCardProps {
  by: "duration" | "cost_usd";
  items: CallItem[] | undefined;
  error: unknown;
  retry: () => void;
  url: (format: "csv" | "json") => string;
  onChange: (change: Pick<NumbersSearch, "top">) => void;
  onOpen: (id: string) => void;
}

export function TopCard({ by, items, error, retry, url, onChange, onOpen }: TopCardProps) {
  const title = by === "duration" ? "Slowest calls" : "Costliest calls";
  return (
    <Card className="min-w-0 pb-1" aria-label="Calls that stand out">
      <div className="flex items-center justify-between gap-2 px-4 pt-3 pb-2 sm:px-5">
        <ToggleGroup
          type="single"
          value={by}
          aria-label="Calls that stand out"
          onValueChange={(value) => {
            if (value !== "") onChange({ top: value === "cost_usd" ? value : undefined });
          }}
        >
          <ToggleGroupItem value="duration">Slowest</ToggleGroupItem>
          <ToggleGroupItem value="cost_usd">Costliest</ToggleGroupItem>
        </ToggleGroup>
        <ViewMenu title={title} url={url} />
      </div>
      {items === undefined ? (
        <div className="px-5 py-3">
          <Loading what="The calls" error={error} retry={retry} />
        </div>
      ) : items.length === 0 ? (
        <p className="border-t px-5 py-8 text-center text-sm text-muted-foreground">
          {by === "duration"
            ? "No call with a duration in this range."
            : "No call with a known price in this range."}
        </p>
      ) : (
        <CallTable caption={title} compact>
          {items.map((call) => (
            <CallRow key={call.id} call={call} compact onOpen={onOpen} />
          ))}
        </CallTable>
      )}
    </Card>
  );
}
