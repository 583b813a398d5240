/**
 * One message: a person's words in a bubble, an answer in the open with how it ended, and what can
 * be done with either. Shown by the chat view; what is done is the session's business.
 */
import {
  ChevronDownIcon,
  PencilIcon,
  RefreshCwIcon,
  RotateCwIcon,
  SquareIcon,
  Trash2Icon,
} from "lucide-react";
import { lazy, memo, Suspense, useEffect, useRef } from "react";
import { CopyButton } from "@/components/copy-button";
import { Badge } from "@/components/ui/badge";
import { Button, type ButtonProps } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { Tooltip } from "@/components/ui/tooltip";
import type { Feedback } from "@/lib/api";
import { cn } from "@/lib/utils";
import { AnswerFeedback } from "./answer-feedback";
import { AnswerLine } from "./answer-line";
import { AnswerNotes } from "./answer-notes";
import { EditBox } from "./edit-box";
import { MessageFiles } from "./message-files";
import { type ChatMessage, filesOf, lastModelAskedFor, siblingsOf, textOf } from "./messages";
import { ModelPicker } from "./model-picker";
import { useModels } from "./models";
import { Reasoning } from "./reasoning";
import { SiblingSwitcher } from "./sibling-switcher";

const loadMarkdown = () => import("./markdown");
const Markdown = lazy(loadMarkdown);

/** Fetches what answers are shown with, before the first one needs it or the network fails. */
export function preloadMarkdown(): void {
  // A failure shows where the answer is.
  loadMarkdown().catch(() => {});
}

/** The id of a message's element, which addresses name after their `#`. */
export function messageElementId(id: string): string {
  return `m-${id}`;
}

/** What can be done with messages; the same object for as long as the conversation is shown. */
export interface MessageActions {
  startEdit: (id: string) => void;
  changeEdit: (text: string) => void;
  cancelEdit: () => void;
  sendEdit: () => void;
  regenerate: (id: string, model?: string) => void;
  select: (id: string) => void;
  remove: (id: string) => void;
  rate: (id: string, feedback: Feedback | null) => void;
  stop: () => void;
}

interface MessageProps {
  message: ChatMessage;
  actions: MessageActions;
  /** Its words are arriving now. */
  streaming: boolean;
  /** An answer is under way, on which nothing else is begun. */
  busy: boolean;
  /** The conversation is a guest's, of which the browser holds one branch. */
  guest: boolean;
  first: boolean;
  last: boolean;
  /** What it is being changed to, if it is. */
  edit: string | null;
  /** Somebody was led to this message just now. */
  marked: boolean;
}

export const Message = memo(function Message(props: MessageProps) {
  return props.message.role === "user" ? <Question {...props} /> : <Answer {...props} />;
});

const ARTICLE = "group min-w-0 scroll-mt-6 rounded-xl transition-[background-color,box-shadow]";
const MARKED = "bg-primary/8 ring-8 ring-primary/8";
/** Out of the way until somebody is here; a finger never merely is. */
const QUIET =
  "flex items-center gap-0.5 opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100";

function Question(props: MessageProps) {
  const { message, actions, busy, guest, last, edit, marked } = props;
  const text = textOf(message);
  const files = filesOf(message);
  const is_edited = edit !== null;
  const editButton = useRef<HTMLButtonElement>(null);
  const was_edited = useRef(false);

  useEffect(() => {
    // Who edited by keyboard goes on from where they were.
    if (was_edited.current && !is_edited && document.activeElement === document.body) {
      editButton.current?.focus();
    }
    was_edited.current = is_edited;
  }, [is_edited]);

  return (
    <article
      id={messageElementId(message.id)}
      aria-label="You"
      className={cn(ARTICLE, "relative flex flex-col items-end gap-2", marked && MARKED)}
    >
      <MessageFiles files={files} className="max-w-[85%] justify-end" />
      {is_edited ? (
        <EditBox
          text={edit}
          hasFiles={files.length > 0}
          replaces={guest && !last}
          busy={busy}
          onChange={actions.changeEdit}
          onCancel={actions.cancelEdit}
          onSend={actions.sendEdit}
        />
      ) : (
        <>
          {text !== "" && (
            <div className="max-w-[85%] rounded-2xl rounded-br-md bg-bubble px-4 py-2.5 leading-relaxed break-words whitespace-pre-wrap">
              {text}
            </div>
          )}
          <div className="absolute top-full right-0 flex items-center gap-0.5">
            <div className={QUIET}>
              {text !== "" && <CopyButton text={() => text} label="Copy message" />}
              <ActionButton
                ref={editButton}
                label="Edit message"
                disabled={busy}
                onClick={() => actions.startEdit(message.id)}
              >
                <PencilIcon />
              </ActionButton>
              <DeleteButton {...props} />
            </div>
            <Switcher {...props} />
          </div>
        </>
      )}
    </article>
  );
}

function Answer(props: MessageProps) {
  const { message, actions, streaming, guest, marked } = props;
  const { status, feedback } = message.metadata ?? {};
  const is_empty = !message.parts.some(
    (part) =>
      part.type === "file" ||
      ((part.type === "text" || part.type === "reasoning") && part.text !== ""),
  );
  return (
    <article
      id={messageElementId(message.id)}
      aria-label="Answer"
      data-status={status}
      className={cn(ARTICLE, marked && MARKED)}
    >
      {message.parts.map((part, index) => {
        // Parts are only ever appended: their place is their identity.
        const key = `${part.type}-${index}`;
        const is_last = streaming && index === message.parts.length - 1;
        if (part.type === "reasoning" && part.text !== "") {
          return <Reasoning key={key} text={part.text} streaming={is_last} />;
        }
        if (part.type === "text" && part.text !== "") {
          return (
            <Suspense key={key} fallback={<p className="whitespace-pre-wrap">{part.text}</p>}>
              <Markdown text={part.text} streaming={is_last} />
            </Suspense>
          );
        }
        if (part.type === "file") {
          return <MessageFiles key={key} files={[part]} className="my-3 first:mt-0" />;
        }
        return null;
      })}
      {is_empty && (streaming || status === "streaming") && <Waiting />}
      {!is_empty && message.metadata && <AnswerNotes metadata={message.metadata} />}
      <Outcome {...props} />
      {!streaming && status !== "streaming" && (
        <div className="mt-2 -ml-1.5 flex min-h-7 flex-wrap items-center gap-x-0.5">
          <Switcher {...props} />
          {!is_empty && <CopyButton text={() => textOf(message)} label="Copy answer" />}
          <Regenerate {...props} />
          {!guest && !is_empty && (
            <AnswerFeedback
              feedback={feedback ?? null}
              onRate={(given) => actions.rate(message.id, given)}
            />
          )}
          <DeleteButton {...props} />
          {status === "cancelled" && (
            <Badge className="mr-1 ml-1">
              <SquareIcon className="fill-current" />
              Stopped
            </Badge>
          )}
          {message.metadata && <AnswerLine metadata={message.metadata} />}
        </div>
      )}
    </article>
  );
}

function Outcome({ message, actions, streaming, busy, guest, last }: MessageProps) {
  const { status, error } = message.metadata ?? {};
  const again = !busy && (!guest || last) && (
    <RetryButton onClick={() => actions.regenerate(message.id)} />
  );
  if (status === "error") {
    return (
      <Notice tone="destructive" role="alert" action={again} className="mt-3 first:mt-0">
        {error?.message ?? "The model could not answer."}
      </Notice>
    );
  }
  if (status === "interrupted") {
    return (
      <Notice tone="warning" role="status" action={again} className="mt-3 first:mt-0">
        The answer was interrupted. What had arrived is kept.
      </Notice>
    );
  }
  if (status === "streaming" && !streaming) {
    const stop = (
      <Button variant="outline" size="xs" onClick={actions.stop}>
        Stop
      </Button>
    );
    return (
      <Notice role="status" action={stop} className="mt-3 first:mt-0">
        This answer is still being written; it appears here once it is whole.
      </Notice>
    );
  }
  return null;
}

/** Another answer, by the same model at once or by one that is chosen. */
function Regenerate({ message, actions, busy, guest, last }: MessageProps) {
  const models = useModels();
  // A guest's other answers are followed by what would be lost.
  if (guest && !last) return null;
  const model = lastModelAskedFor([message]);
  const usable = models.data?.items.find(({ id, available }) => id === model && available);
  return (
    <>
      <ActionButton
        label="Regenerate"
        disabled={busy}
        // Its own model once more, unless that is not to be had any more.
        onClick={() => actions.regenerate(message.id, usable?.id)}
      >
        <RefreshCwIcon />
      </ActionButton>
      {models.data && (
        <ModelPicker
          models={models.data}
          value={model}
          onOpen={() => void models.refetch()}
          onChange={(chosen) => actions.regenerate(message.id, chosen)}
        >
          <Button
            variant="ghost"
            size="icon-xs"
            className="-ml-1 w-5"
            aria-label="Regenerate with another model"
            disabled={busy}
          >
            <ChevronDownIcon />
          </Button>
        </ModelPicker>
      )}
    </>
  );
}

function DeleteButton({ message, actions, busy, guest, first }: MessageProps) {
  // A guest's conversation without its first message is none.
  if (guest && first) return null;
  return (
    <ActionButton label="Delete message" disabled={busy} onClick={() => actions.remove(message.id)}>
      <Trash2Icon />
    </ActionButton>
  );
}

function ActionButton({ label, ...props }: ButtonProps & { label: string }) {
  return (
    <Tooltip content={label} side="bottom">
      <Button variant="ghost" size="icon-xs" aria-label={label} {...props} />
    </Tooltip>
  );
}

function Switcher({ message, actions, busy }: MessageProps) {
  return (
    <SiblingSwitcher
      id={message.id}
      siblings={siblingsOf(message)}
      disabled={busy}
      onSelect={actions.select}
    />
  );
}

function RetryButton({ onClick }: { onClick: () => void }) {
  return (
    <Button variant="outline" size="xs" onClick={onClick}>
      <RotateCwIcon />
      Retry
    </Button>
  );
}

/** Stands after a message that has no answer, as when the page closed too early. */
export function Unanswered({ onRetry }: { onRetry: () => void }) {
  return (
    <Notice tone="warning" role="status" action={<RetryButton onClick={onRetry} />}>
      There is no answer to this message.
    </Notice>
  );
}

export function Waiting() {
  return (
    <div role="status" className="flex h-7 items-center gap-1.5">
      <span className="sr-only">Waiting for the answer</span>
      {[0, 160, 320].map((delay) => (
        <span
          key={delay}
          style={{ animationDelay: `${delay}ms` }}
          className="size-1.5 animate-pulse rounded-full bg-muted-foreground"
        />
      ))}
    </div>
  );
}
