/** Where a message that was sent is written anew. Enter sends, Escape leaves it as it was. */
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/utils";
import { countChars, MAX_CHARS } from "./composer";

interface EditBoxProps {
  text: string;
  /** The message has files, which stay with it. */
  hasFiles: boolean;
  /** The messages below go when this is sent. */
  replaces: boolean;
  busy: boolean;
  onChange: (text: string) => void;
  onCancel: () => void;
  onSend: () => void;
}

export function EditBox({
  text,
  hasFiles,
  replaces,
  busy,
  onChange,
  onCancel,
  onSend,
}: EditBoxProps) {
  const input = useRef<HTMLTextAreaElement>(null);
  const is_too_long = countChars(text) > MAX_CHARS;
  const can_send = !busy && !is_too_long && (hasFiles || text.trim() !== "");

  useEffect(() => {
    const textarea = input.current;
    textarea?.focus();
    textarea?.setSelectionRange(textarea.value.length, textarea.value.length);
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: as high as what is written.
  useLayoutEffect(() => {
    const textarea = input.current;
    if (textarea === null) return;
    textarea.style.height = "auto";
    textarea.style.height = `${textarea.scrollHeight}px`;
  }, [text]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") onCancel();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    if (can_send) onSend();
  };

  return (
    <div className="w-full rounded-2xl border border-ring/55 bg-card ring-4 ring-ring/8">
      <textarea
        ref={input}
        rows={1}
        value={text}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKeyDown}
        aria-label="Edit your message"
        aria-invalid={is_too_long}
        aria-describedby="edit-note"
        className="block max-h-[50dvh] min-h-12 w-full resize-none bg-transparent px-4 pt-3 pb-1 text-base leading-relaxed outline-none"
      />
      <div className="flex flex-wrap items-center justify-end gap-2 px-3 pb-3">
        <span
          id="edit-note"
          className={cn(
            "min-w-0 flex-1 text-xs",
            is_too_long ? "text-destructive" : "text-muted-foreground",
          )}
        >
          {is_too_long
            ? `${countChars(text).toLocaleString("en-US")} / ${MAX_CHARS.toLocaleString("en-US")}`
            : replaces && "What follows this message is replaced."}
        </span>
        <Button variant="ghost" size="sm" onClick={onCancel}>
          Cancel
        </Button>
        <Button size="sm" disabled={!can_send} onClick={onSend}>
          Send
        </Button>
      </div>
    </div>
  );
}
