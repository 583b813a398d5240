/** What is worth knowing of how an answer came about: another model gave it, or read less of it. */
import { HistoryIcon, ShuffleIcon } from "lucide-react";
import type { MessageMetadata } from "./messages";
import { notesOf } from "./messages";
import { displayName, useModels } from "./models";

export function AnswerNotes({ metadata }: { metadata: MessageMetadata }) {
  const models = useModels();
  const notes = notesOf(metadata, (id) => displayName(models.data, id));
  if (notes.length === 0) return null;
  return (
    <ul className="mt-3 space-y-1 text-sm text-muted-foreground first:mt-0">
      {notes.map(({ kind, text }) => {
        const Icon = kind === "fallback" ? ShuffleIcon : HistoryIcon;
        return (
          <li key={kind} className="flex items-start gap-2">
            <Icon className="mt-1 size-3.5 shrink-0" />
            {text}
          </li>
        );
      })}
    </ul>
  );
}
