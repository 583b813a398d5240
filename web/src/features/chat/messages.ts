/**
 * The page's messages: the API's rows and the stream's parts in the one shape that useChat keeps.
 * The status of an answer travels in its metadata, whether it was streamed or loaded.
 */
import type { UIMessage } from "ai";
import type { Conversation, MessageStatus, StoredMessage, Usage } from "@/lib/api";

export interface AnswerError {
  message: string;
  type?: string;
}

export interface MessageMetadata {
  status?: MessageStatus;
  error?: AnswerError;
  run_id?: string;
  model?: string;
  user_message_id?: string;
  usage?: Usage;
  finish_reason?: string | null;
  duration?: number | null;
  time_to_first_chunk?: number | null;
}

// A type, not an interface: UIMessage asks for an index signature, which interfaces do not have.
export type MessageData = { title: { title: string } };

export type ChatMessage = UIMessage<MessageMetadata, MessageData>;

export function fromStored(message: StoredMessage): ChatMessage {
  return {
    id: message.id,
    role: message.role,
    parts: message.parts.map((part) => ({ ...part, state: "done" as const })),
    metadata: { ...(message.metadata as MessageMetadata), status: message.status },
  };
}

export function fromConversation(conversation: Conversation): ChatMessage[] {
  return conversation.messages.map(fromStored);
}

export function textOf(message: ChatMessage): string {
  return message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
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
  return messages.map((message) =>
    message.id === id ? { ...message, metadata: { ...message.metadata, status } } : message,
  );
}

/** A branch as the API accepts it from a guest: text alone, and no answer that stayed empty. */
export function toBranch(messages: ChatMessage[]) {
  return messages
    .map((message) => ({
      id: message.id,
      role: message.role,
      parts: message.parts.flatMap((part) =>
        part.type === "text" && part.text !== ""
          ? [{ type: "text" as const, text: part.text }]
          : [],
      ),
    }))
    .filter((message) => message.parts.length > 0);
}
