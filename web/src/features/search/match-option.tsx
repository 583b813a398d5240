/** One thing found: where it stands, and the words around what matches. */
import { ageGroup, formatTime } from "@/lib/format";
import type { Match, Segment } from "./api";

interface MatchOptionProps {
  id: string;
  match: Match;
  active: boolean;
  onPoint: () => void;
  onChoose: () => void;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const WHO = { user: "You", assistant: "Answer" };

export function MatchOption({ id, match, active, onPoint, onChoose }: MatchOptionProps) {
  const { title, role, snippet, created_at } = match;
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the search field keeps the focus.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the search field takes the keys.
    <div
      id={id}
      role="option"
      aria-selected={active}
      data-active={active || undefined}
      onPointerMove={onPoint}
      onClick={onChoose}
      className="cursor-pointer rounded-md px-3 py-2 text-sm select-none data-active:bg-accent"
    >
      <div className="flex items-baseline gap-3">
        <span className="min-w-0 flex-1 truncate font-medium">
          {role === null ? <Snippet segments={snippet} /> : title}
        </span>
        <time dateTime={created_at} className="shrink-0 text-xs text-muted-foreground tabular-nums">
          {whenOf(created_at)}
        </time>
      </div>
      {role !== null && (
        <p className="mt-0.5 line-clamp-2 break-words text-muted-foreground">
          <span className="text-foreground/70">{WHO[role]}: </span>
          <Snippet segments={snippet} />
        </p>
      )}
    </div>
  );
}

function whenOf(iso: string): string {
  return ageGroup(iso) === "Today" ? formatTime(iso) : DATE.format(new Date(iso));
}

/** Plain text in pieces: whatever stands in a message is shown as it was written. */
function Snippet({ segments }: { segments: Segment[] }) {
  return segments.map(({ text, match }, index) => {
    // Pieces never move: their place is their identity.
    const key = `${index}`;
    return match ? (
      <mark key={key} className="rounded-xs bg-primary/25 text-foreground">
        {text}
      </mark>
    ) : (
      <span key={key}>{text}</span>
    );
  });
}
