/** One message: a person's words in a bubble, an answer in the open with how it ended. */
import { RotateCwIcon, SquareIcon } from "lucide-react";
import { lazy, memo, Suspense } from "react";
import { CopyButton } from "@/components/copy-button";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { AnswerLine } from "./answer-line";
import { AnswerNotes } from "./answer-notes";
import { MessageFiles } from "./message-files";
import { type ChatMessage, filesOf, textOf } from "./messages";
import { Reasoning } from "./reasoning";

const loadMarkdown = () => import("./markdown");
const Markdown = lazy(loadMarkdown);

/** Fetches what answers are shown with, before the first one needs it or the network fails. */
export function preloadMarkdown(): void {
  // A failure shows where the answer is.
  loadMarkdown().catch(() => {});
}

interface MessageProps {
  message: ChatMessage;
  /** Its words are arriving now. */
  streaming: boolean;
  /** Given for the last answer alone. */
  onRetry?: () => void;
}

export const Message = memo(function Message({ message, streaming, onRetry }: MessageProps) {
  return message.role === "user" ? (
    <Question message={message} />
  ) : (
    <Answer message={message} streaming={streaming} onRetry={onRetry} />
  );
});

function Question({ message }: { message: ChatMessage }) {
  const text = textOf(message);
  return (
    <article aria-label="You" className="group relative flex flex-col items-end gap-2">
      <MessageFiles files={filesOf(message)} className="max-w-[85%] justify-end" />
      {text !== "" && (
        <>
          <div className="max-w-[85%] rounded-2xl rounded-br-md bg-bubble px-4 py-2.5 leading-relaxed break-words whitespace-pre-wrap">
            {text}
          </div>
          <div className="absolute top-full right-0 opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100">
            <CopyButton text={() => text} label="Copy message" />
          </div>
        </>
      )}
    </article>
  );
}

function Answer({ message, streaming, onRetry }: MessageProps) {
  const { status } = message.metadata ?? {};
  const is_empty = !message.parts.some(
    (part) =>
      part.type === "file" ||
      ((part.type === "text" || part.type === "reasoning") && part.text !== ""),
  );
  return (
    <article aria-label="Answer" data-status={status} className="group min-w-0">
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
      <Outcome message={message} streaming={streaming} onRetry={onRetry} />
      {!streaming && status !== "streaming" && (
        <div className="mt-2 -ml-1.5 flex min-h-7 items-center gap-0.5">
          {!is_empty && <CopyButton text={() => textOf(message)} label="Copy answer" />}
          {status === "cancelled" && (
            <Badge className="mr-1">
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

function Outcome({ message, streaming, onRetry }: MessageProps) {
  const { status, error } = message.metadata ?? {};
  const retry = onRetry && <RetryButton onClick={onRetry} />;
  if (status === "error") {
    return (
      <Notice tone="destructive" role="alert" action={retry} className="mt-3 first:mt-0">
        {error?.message ?? "The model could not answer."}
      </Notice>
    );
  }
  if (status === "interrupted") {
    return (
      <Notice tone="warning" role="status" action={retry} className="mt-3 first:mt-0">
        The answer was interrupted. What had arrived is kept.
      </Notice>
    );
  }
  if (status === "streaming" && !streaming) {
    return (
      <p role="status" className="mt-3 text-sm text-muted-foreground first:mt-0">
        This answer is still being written; it appears here once it is whole.
      </p>
    );
  }
  return null;
}

function RetryButton({ onClick }: { onClick: () => void }) {
  return (
    <Button variant="outline" size="xs" onClick={onClick}>
      <RotateCwIcon />
      Retry
    </Button>
  );
}

/** Stands after a message to which no answer began, as when the page closed too early. */
export function Unanswered({ onRetry }: { onRetry: () => void }) {
  return (
    <Notice tone="warning" role="status" action={<RetryButton onClick={onRetry} />}>
      No answer to this message has arrived.
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
