/** How many alerts fire now; nothing where none does. */
import { useRules } from "./use-rules";

export function FiringBadge() {
  const firing = useRules().data?.filter(({ state }) => state === "firing").length ?? 0;
  if (firing === 0) return null;
  return (
    <span className="rounded-full bg-destructive/15 px-1.5 text-xs font-semibold text-destructive tabular-nums">
      {firing}
      <span className="sr-only"> firing</span>
    </span>
  );
}
