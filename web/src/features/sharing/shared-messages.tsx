/** The messages of a link: looked at, not acted upon. Drawn by what draws the chat's. */
import { CopyButton } from "@/components/copy-button";
import { Badge } from "@/components/ui/badge";
import Markdown from "@/features/chat/markdown";
import { MessageFiles } from "@/features/chat/message-files";
import { Reasoning } from "@/features/chat/reasoning";
import type { MessageStatus } from "@/lib/api";
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
      <MessageFiles files={files} className="max-w-[85%] justify-end" />
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
        return <MessageFiles key={key} files={[part]} className="my-3 first:mt-0" />;
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
