/** The messages of a link: looked at, not acted upon. Drawn by what draws the chat's. */
import { DownloadIcon, FileTextIcon } from "lucide-react";
import { CopyButton } from "@/components/copy-button";
import { Badge } from "@/components/ui/badge";
import Markdown from "@/features/chat/markdown";
import { Reasoning } from "@/features/chat/reasoning";
import type { MessageStatus, StoredPart } from "@/lib/api";
import { cn } from "@/lib/utils";
import type { SharedMessage } from "./api";

export function SharedMessages({ messages }: { messages: SharedMessage[] }) {
  return (
    <div className="space-y-8 pt-8 pb-16">
      {messages.map((message) =>
        message.role === "user" ? (
          <Question key={message.id} message={message} />
        ) : (
          <Answer key={message.id} message={message} />
        ),
      )}
    </div>
  );
}

function textOf({ parts }: SharedMessage): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function Question({ message }: { message: SharedMessage }) {
  const text = textOf(message);
  const files = message.parts.filter((part) => part.type === "file");
  return (
    <article aria-label="Question" className="flex flex-col items-end gap-2">
      {files.length > 0 && (
        <div className="flex max-w-[85%] flex-wrap items-end justify-end gap-2">
          {files.map((file) => (
            <SharedFile key={file.url} file={file} />
          ))}
        </div>
      )}
      {text !== "" && (
        <div className="max-w-[85%] rounded-2xl rounded-br-md bg-bubble px-4 py-2.5 leading-relaxed break-words whitespace-pre-wrap">
          {text}
        </div>
      )}
    </article>
  );
}

const OUTCOMES: Partial<Record<MessageStatus, string>> = {
  cancelled: "Stopped",
  interrupted: "Interrupted",
  error: "Failed",
};

function Answer({ message }: { message: SharedMessage }) {
  const outcome = OUTCOMES[message.status];
  const text = textOf(message);
  return (
    <article aria-label="Answer" className="min-w-0">
      {message.parts.map((part, index) => {
        // A link shows what no longer changes: a part's place is its identity.
        const key = `${part.type}-${index}`;
        if (part.type === "reasoning") {
          return part.text === "" ? null : (
            <Reasoning key={key} text={part.text} streaming={false} />
          );
        }
        if (part.type === "text") {
          return part.text === "" ? null : (
            <Markdown key={key} text={part.text} streaming={false} />
          );
        }
        return (
          <div key={key} className="my-3 flex first:mt-0">
            <SharedFile file={part} />
          </div>
        );
      })}
      <div className="mt-2 -ml-1.5 flex min-h-7 items-center gap-1.5">
        {text !== "" && <CopyButton text={() => text} label="Copy answer" />}
        {outcome && <Badge>{outcome}</Badge>}
        {message.model && (
          <span className="truncate text-xs text-muted-foreground">{message.model}</span>
        )}
      </div>
    </article>
  );
}

/** What the server sends as a picture; anything else it sends to be saved. */
const SHOWN = ["image/png", "image/jpeg", "image/gif", "image/webp"];

function SharedFile({ file }: { file: Extract<StoredPart, { type: "file" }> }) {
  const { url, mediaType, filename } = file;
  const is_shown = SHOWN.includes(mediaType);
  const name = filename ?? (is_shown ? "Image" : "File");
  const frame = "outline-none focus-visible:ring-2 focus-visible:ring-ring";
  if (is_shown) {
    return (
      <a
        href={url}
        target="_blank"
        rel="noreferrer"
        aria-label={`Enlarge ${name}`}
        className={cn(frame, "overflow-hidden rounded-xl border")}
      >
        <img
          src={url}
          alt={name}
          decoding="async"
          className="max-h-72 min-h-12 max-w-full object-contain"
        />
      </a>
    );
  }
  return (
    <a
      href={url}
      download={name}
      aria-label={`Download ${name}`}
      className={cn(
        frame,
        "flex max-w-full min-w-0 items-center gap-2.5 rounded-xl border bg-card px-3.5 py-2 text-sm transition-colors hover:bg-accent",
      )}
    >
      <FileTextIcon className="size-5 shrink-0 text-muted-foreground" />
      <span className="min-w-0 truncate">{name}</span>
      <DownloadIcon className="size-4 shrink-0 text-muted-foreground" />
    </a>
  );
}
