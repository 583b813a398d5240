/** One discreet line under an answer: model, tokens, times. Says nothing that is not known. */
import { Link } from "@tanstack/react-router";
import { Tooltip } from "@/components/ui/tooltip";
import { DEFAULT_RANGE } from "@/features/numbers/range";
import { formatCount, formatSeconds } from "@/lib/format";
import type { MessageMetadata } from "./messages";
import { displayName, useModels } from "./models";

export function AnswerLine({ metadata }: { metadata: MessageMetadata }) {
  const { model, usage, duration, time_to_first_chunk, finish_reason } = metadata;
  const models = useModels();
  const pieces: string[] = [];
  if (model) pieces.push(displayName(models.data, model));
  if (usage && (usage.input_tokens !== null || usage.output_tokens !== null)) {
    const about = usage.usage_estimated ? "≈ " : "";
    pieces.push(
      `${about}${formatCount(usage.input_tokens)} in · ${formatCount(usage.output_tokens)} out`,
    );
  }
  if (time_to_first_chunk) pieces.push(`first chunk ${formatSeconds(time_to_first_chunk)}`);
  if (duration) pieces.push(formatSeconds(duration));
  if (finish_reason === "length") pieces.push("length limit reached");
  if (pieces.length === 0) return null;
  return (
    <Tooltip content="Tokens and times of this call; all calls are under Numbers" side="bottom">
      <Link
        to="/numbers"
        search={{ range: DEFAULT_RANGE }}
        className="min-w-0 truncate rounded-sm px-1 text-xs text-muted-foreground tabular-nums outline-none hover:text-foreground focus-visible:ring-2 focus-visible:ring-ring"
      >
        {pieces.join(" · ")}
      </Link>
    </Tooltip>
  );
}
