/**
 * The page's messages: the API's rows and the stream's parts in the one shape that useChat keeps.
 * The status of an answer travels in its metadata, whether it was streamed or loaded.
 */
import type { FileUIPart, UIMessage } from "ai";
import type {
  Conversation,
  Feedback,
  MessageStatus,
  StoredMessage,
  StoredPart,
  Usage,
} from "@/lib/api";
import { plural } from "@/lib/format";

interface AnswerError {
  message: string;
  type?: string;
}

export interface MessageMetadata {
  status?: MessageStatus;
  error?: AnswerError;
  run_id?: string;
  /** The model that answered. */
  model?: string;
  /** The model asked for, where another one answered. */
  fallback_from?: string | null;
  /** Earlier messages left out, since the model's context was full. */
  omitted_messages?: number;
  omitted_files?: number;
  user_message_id?: string;
  usage?: Usage;
  finish_reason?: string | null;
  duration?: number | null;
  time_to_first_chunk?: number | null;
  /** The ids of all messages in its place, the oldest first, where there are others. */
  siblings?: string[];
  feedback?: Feedback | null;
}

// A type, not an interface: UIMessage asks for an index signature, which interfaces do not have.
type MessageData = { title: { title: string } };

export type ChatMessage = UIMessage<MessageMetadata, MessageData>;

function fromStored(message: StoredMessage): ChatMessage {
  return {
    id: message.id,
    role: message.role,
    parts: message.parts.map((part) =>
      part.type === "file" ? part : { ...part, state: "done" as const },
    ),
    metadata: {
      ...(message.metadata as MessageMetadata),
      status: message.status,
      siblings: message.siblings,
      feedback: message.feedback,
    },
  };
}

/** The ids of all messages that stand in this one's place, itself among them. */
export function siblingsOf({ id, metadata }: ChatMessage): string[] {
  return metadata?.siblings ?? [id];
}

export function fromConversation(conversation: Conversation): ChatMessage[] {
  return conversation.messages.map(fromStored);
}

export function textOf(message: ChatMessage): string {
  return message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

export function filesOf(message: ChatMessage): FileUIPart[] {
  return message.parts.filter((part) => part.type === "file");
}

export interface Note {
  kind: "fallback" | "omitted";
  text: string;
}

/** What a person should know of how an answer came about, as sentences. */
export function notesOf(metadata: MessageMetadata, nameOf: (model: string) => string): Note[] {
  const { model, fallback_from, omitted_messages = 0, omitted_files = 0 } = metadata;
  const notes: Note[] = [];
  if (model && fallback_from && fallback_from !== model) {
    notes.push({
      kind: "fallback",
      text: `${nameOf(model)} answered instead of ${nameOf(fallback_from)}`,
    });
  }
  if (omitted_messages > 0) {
    const messages = plural(omitted_messages, "earlier message");
    notes.push({
      kind: "omitted",
      text: `${messages} did not fit this model's context and ${omitted_messages === 1 ? "was" : "were"} left out`,
    });
  }
  if (omitted_files > 0) {
    notes.push({
      kind: "omitted",
      text: `${plural(omitted_files, "earlier file")} cannot be read by this model`,
    });
  }
  return notes;
}

/**
 * Parts a history from the answer that is still being written. The stream replays that answer
 * from its first word: keeping the partial beside it would show it twice.
 */
export function splitUnfinished(messages: ChatMessage[]): {
  settled: ChatMessage[];
  partial: ChatMessage | null;
} {
  const last = messages.at(-1);
  if (last?.role !== "assistant" || last.metadata?.status !== "streaming") {
    return { settled: messages, partial: null };
  }
  return { settled: messages.slice(0, -1), partial: last };
}

export function withStatus(
  messages: ChatMessage[],
  id: string,
  status: MessageStatus,
): ChatMessage[] {
  return withMetadata(messages, id, { status });
}

export function withMetadata(
  messages: ChatMessage[],
  id: string,
  change: Partial<MessageMetadata>,
): ChatMessage[] {
  return messages.map((message) =>
    message.id === id ? { ...message, metadata: { ...message.metadata, ...change } } : message,
  );
}

/**
 * A branch as the API accepts it from a guest: text, reasoning with what its provider wants back,
 * files, and no answer that stayed empty. A file that this browser could not keep is told of, or
 * the model would take the answer to it for an answer to nothing.
 */
export function toBranch(messages: ChatMessage[]) {
  return messages
    .map(({ id, role, parts }) => ({ id, role, parts: parts.flatMap(toStoredPart) }))
    .filter(({ parts }) => parts.some((part) => part.type !== "reasoning"));
}

function toStoredPart(part: ChatMessage["parts"][number]): StoredPart[] {
  switch (part.type) {
    case "text":
    case "reasoning": {
      const { type, text, providerMetadata } = part;
      if (providerMetadata !== undefined) return [{ type, text, providerMetadata }];
      return text === "" ? [] : [{ type, text }];
    }
    case "file": {
      const { type, mediaType, filename, url } = part;
      return url === ""
        ? [{ type: "text", text: `[${filename ?? "A file"} was attached and is no longer kept]` }]
        : [{ type, mediaType, filename, url }];
    }
    default:
      return [];
  }
}

/** The model that a conversation was last held with: the one asked for, whichever answered. */
export function lastModelAskedFor(messages: ChatMessage[]): string | null {
  const metadata = messages.findLast((message) => message.metadata?.model)?.metadata;
  return metadata?.fallback_from ?? metadata?.model ?? null;
}

/**
 * The most that the files of one request may take, in characters of their data URLs: a request
 * has at most 6 MiB, of which this leaves half a mebibyte to words.
 */
export const MAX_FILE_CHARS = 5.5 * 1024 * 1024;

/** The branch with the files of its newest messages, as many as one request has room for. */
export function withSendableFiles(messages: ChatMessage[]): ChatMessage[] {
  let room = MAX_FILE_CHARS;
  const first_sent = messages.findLastIndex((message) => {
    for (const { url } of filesOf(message)) room -= url.length;
    return room < 0;
  });
  if (first_sent === -1) return messages;
  return [...withoutFileData(messages.slice(0, first_sent + 1)), ...messages.slice(first_sent + 1)];
}

/** The branch without what its files hold, where a file is as large as a thousand messages. */
export function withoutFileData(messages: ChatMessage[]): ChatMessage[] {
  return messages.map((message) =>
    message.parts.some((part) => part.type === "file")
      ? {
          ...message,
          parts: message.parts.map((part) => (part.type === "file" ? { ...part, url: "" } : part)),
        }
      : message,
  );
}

/**
 * A history that the page has already is left alone, with the ids that its messages were sent by
 * and what its answers' streams told.
 */
export function isSame(fetched: ChatMessage[], shown: ChatMessage[]): boolean {
  return (
    fetched.length === shown.length &&
    fetched.at(-1)?.id === shown.at(-1)?.id &&
    fetched.every((message, index) => isAlike(message, shown[index]))
  );
}

function isAlike(a: ChatMessage, b: ChatMessage | undefined): boolean {
  if (b === undefined || statusOf(a) !== statusOf(b)) return false;
  const [of_a, of_b] = [siblingsOf(a), siblingsOf(b)];
  return (
    of_a.length === of_b.length &&
    (of_a.length === 1 || of_a.join() === of_b.join()) &&
    a.metadata?.feedback?.rating === b.metadata?.feedback?.rating &&
    a.metadata?.feedback?.note === b.metadata?.feedback?.note
  );
}

/** A message whose status is not told is whole. */
export function statusOf({ metadata }: ChatMessage): MessageStatus {
  return metadata?.status ?? "complete";
}
