/** Where a message is written. Enter sends, Shift+Enter breaks the line. */
import { ArrowUpIcon, LoaderCircleIcon, PaperclipIcon, SquareIcon } from "lucide-react";
import {
  type ClipboardEvent,
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  useLayoutEffect,
  useRef,
} from "react";
import { Button } from "@/components/ui/button";
import { Tooltip } from "@/components/ui/tooltip";
import { cn } from "@/lib/utils";
import { AttachmentList } from "./attachment-list";
import type { Attachment } from "./attachments";

/** The server's default limit; it has the last word. */
export const MAX_CHARS = 32_000;
const SHOW_FROM = 30_000;

/** Characters as the server counts them: an emoji is one, not two UTF-16 units. */
export function countChars(text: string): number {
  return text.length < SHOW_FROM ? text.length : [...text].length;
}

export interface ComposerProps {
  draft: string;
  onDraft: (draft: string) => void;
  onSend: (text: string) => void;
  onStop: () => void;
  attachments: Attachment[];
  onAttach: (files: File[]) => void;
  onDetach: (id: string) => void;
  /** Sends a file again that was not taken. */
  onRetryAttachment?: (id: string) => void;
  /** Types that the file dialog offers; null where nothing can be attached. */
  accept: string | null;
  busy: boolean;
  stopping: boolean;
  /** What is written goes off once the files have arrived. */
  waiting: boolean;
  onHoldBack: () => void;
  /** Nothing can be sent; why is said elsewhere. */
  disabled: boolean;
  /** Stands left of the send button. */
  children?: ReactNode;
  ref?: Ref<HTMLTextAreaElement>;
}

export function Composer({
  draft,
  onDraft,
  onSend,
  onStop,
  attachments,
  onAttach,
  onDetach,
  onRetryAttachment,
  accept,
  busy,
  stopping,
  waiting,
  onHoldBack,
  disabled,
  children,
  ref,
}: ComposerProps) {
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const count = countChars(draft);
  const is_too_long = count > MAX_CHARS;
  const has_failed = attachments.some(({ error }) => error !== undefined);
  const is_empty = draft.trim() === "" && attachments.length === 0;
  const can_send = !busy && !disabled && !is_too_long && !has_failed && !is_empty;

  useLayoutEffect(() => {
    const textarea = box.current?.querySelector("textarea");
    if (!textarea) return;
    textarea.style.height = "auto";
    // An empty one keeps its one row, whatever its placeholder would need.
    if (draft !== "") textarea.style.height = `${textarea.scrollHeight}px`;
  }, [draft]);

  const send = () => {
    if (can_send) onSend(draft.trim());
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes, Enter picks a candidate.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  const onPaste = (event: ClipboardEvent) => {
    const files = [...event.clipboardData.files];
    // Text that was copied from an office program comes with a picture of itself.
    if (files.length === 0 || event.clipboardData.types.includes("text/plain")) return;
    event.preventDefault();
    onAttach(files);
  };

  const focus = () => box.current?.querySelector("textarea")?.focus();

  return (
    <div
      ref={box}
      className="rounded-2xl border border-input bg-card shadow-lg shadow-black/5 transition-[border-color,box-shadow] focus-within:border-ring/55 focus-within:ring-4 focus-within:ring-ring/8 dark:shadow-black/25"
    >
      <AttachmentList
        attachments={attachments}
        onRemove={(id) => {
          onDetach(id);
          focus();
        }}
        onRetry={onRetryAttachment}
      />
      <textarea
        ref={ref}
        rows={1}
        value={draft}
        onChange={(event) => onDraft(event.target.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        placeholder="Write a message…"
        aria-label="Message"
        aria-invalid={is_too_long}
        aria-describedby="composer-count"
        className="block max-h-[40dvh] min-h-13 w-full resize-none bg-transparent px-4 pt-3.5 pb-1 text-base leading-relaxed outline-none placeholder:text-muted-foreground"
      />
      <div className="flex items-center gap-2 px-2 pb-2">
        <div className="flex min-w-0 flex-1 items-center">
          <input
            ref={input}
            type="file"
            multiple
            hidden
            accept={accept ?? undefined}
            onChange={(event) => {
              onAttach([...(event.target.files ?? [])]);
              // The same file chosen again is a change again.
              event.target.value = "";
              focus();
            }}
          />
          <Tooltip content="Attach files">
            <Button
              variant="ghost"
              size="icon-sm"
              aria-label="Attach files"
              disabled={accept === null}
              onClick={() => input.current?.click()}
            >
              <PaperclipIcon />
            </Button>
          </Tooltip>
          {children}
        </div>
        <span role="status" className="text-xs text-muted-foreground max-sm:sr-only">
          {waiting && "Goes off with its files"}
        </span>
        <span
          id="composer-count"
          className={cn(
            "text-xs tabular-nums",
            is_too_long ? "text-destructive" : "text-muted-foreground",
          )}
        >
          {count >= SHOW_FROM && `${count.toLocaleString("en-US")} / 32,000`}
        </span>
        {busy ? (
          <Tooltip content={stopping ? "Stopping…" : "Stop"}>
            <Button
              size="icon-sm"
              variant="secondary"
              className="rounded-full"
              aria-label={stopping ? "Stopping" : "Stop"}
              aria-disabled={stopping}
              onClick={() => !stopping && onStop()}
            >
              <SquareIcon
                className={cn("size-3! fill-current", stopping && "animate-pulse")}
                aria-hidden="true"
              />
            </Button>
          </Tooltip>
        ) : waiting ? (
          <Tooltip content="Hold the message back">
            <Button
              size="icon-sm"
              variant="secondary"
              className="rounded-full"
              aria-label="Hold the message back"
              onClick={() => {
                onHoldBack();
                focus();
              }}
            >
              <LoaderCircleIcon className="animate-spin" />
            </Button>
          </Tooltip>
        ) : (
          <Button
            size="icon-sm"
            className="rounded-full"
            aria-label="Send"
            disabled={!can_send}
            onClick={send}
          >
            <ArrowUpIcon />
          </Button>
        )}
      </div>
    </div>
  );
}
