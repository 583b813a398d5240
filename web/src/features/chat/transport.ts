/**
 * Carries a chat over HTTP for useChat: the request bodies that the API takes, a stream that
 * reconnects, and the outcome of an answer written into its metadata.
 * Made by `session.ts`, one a conversation. Never touches the page's state but through its hooks.
 */
import { DefaultChatTransport, type UIMessageChunk } from "ai";
import { withDigest } from "@/lib/digest";
import { problemFrom } from "@/lib/problem";
import { type Connection, followStream } from "@/lib/sse";
import { type ChatMessage, type MessageMetadata, toBranch, withSendableFiles } from "./messages";
import type { ReasoningEffort } from "./reasoning-effort";

export interface TransportHooks {
  conversation_id: string;
  /** Guests send the whole branch: the server keeps no conversation of theirs. */
  isGuest: () => boolean;
  model: () => string | null;
  /** How much the model is to think; null where that is left to it, or where it does not. */
  reasoningEffort: () => ReasoningEffort | null;
  /** The run to resume, where it is known: named, its end can be read after it is over. */
  runId: () => string | null;
  /** All that stand in the place of an answer that begins, where there are others. */
  siblings: (id: string) => string[] | undefined;
  onStart: (metadata: MessageMetadata) => void;
  onConnection: (connection: Connection) => void;
}

export class ChatTransport extends DefaultChatTransport<ChatMessage> {
  private readonly hooks: Pick<TransportHooks, "onStart" | "siblings">;

  constructor(hooks: TransportHooks) {
    super({
      api: "/api/chat",
      credentials: "same-origin",
      prepareSendMessagesRequest: ({ id, messages, trigger, messageId, body }) => ({
        body: {
          trigger,
          ...requestBody(id, messages, hooks, {
            parent_id: body?.parent_id as string | null | undefined,
            again: trigger === "regenerate-message" ? messageId : undefined,
          }),
        },
      }),
      prepareReconnectToStreamRequest: () => ({
        api: streamUrl(hooks.conversation_id, hooks.runId()),
      }),
      fetch: streamingFetch(hooks),
    });
    this.hooks = hooks;
  }

  protected override processResponseStream(
    stream: ReadableStream<Uint8Array<ArrayBufferLike>>,
  ): ReadableStream<UIMessageChunk> {
    return super.processResponseStream(stream).pipeThrough(outcomeIntoMetadata(this.hooks));
  }
}

interface Place {
  /** The message below which a new one goes; below the active leaf where nothing is said. */
  parent_id?: string | null;
  /** The message to answer again, by the id of an answer that it has, or by its own. */
  again?: string;
}

export function requestBody(
  id: string,
  messages: ChatMessage[],
  hooks: Pick<TransportHooks, "isGuest" | "model" | "reasoningEffort">,
  { parent_id, again }: Place = {},
) {
  const options = {
    model: hooks.model() ?? undefined,
    reasoning_effort: hooks.reasoningEffort() ?? undefined,
  };
  if (hooks.isGuest()) return { id, messages: toBranch(withSendableFiles(messages)), ...options };
  // An answer's question is there; a question may have been lost on its way.
  if (again !== undefined && again !== messages.at(-1)?.id) {
    return { id, messageId: again, ...options };
  }
  return { id, message: toBranch(messages.slice(-1)).at(0), parent_id, ...options };
}

function streamUrl(conversation_id: string, run_id: string | null): string {
  return `/api/chat/${conversation_id}/stream${run_id === null ? "" : `?run_id=${run_id}`}`;
}

function streamingFetch({ conversation_id, onConnection }: TransportHooks): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, await withDigest(init));
    if (!response.ok) throw await problemFrom(response);
    if (response.status === 204 || response.body === null) return response;
    const url = streamUrl(conversation_id, response.headers.get("x-tailrace-run-id"));
    const signal = init?.signal ?? undefined;
    const body = followStream(response.body, {
      reopen: (last_event_id) =>
        fetch(url, {
          credentials: "same-origin",
          headers: last_event_id === null ? {} : { "last-event-id": last_event_id },
          signal,
        }),
      signal,
      onConnection,
    });
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

/**
 * How an answer ended becomes part of the message. useChat would drop `abort`, and turn `error`
 * into a state of the chat that forgets the error's class and the next answer wipes out.
 */
function outcomeIntoMetadata({
  onStart,
  siblings,
}: Pick<TransportHooks, "onStart" | "siblings">): TransformStream<UIMessageChunk, UIMessageChunk> {
  let ended = false;
  const metadata = (messageMetadata: MessageMetadata): UIMessageChunk => ({
    type: "message-metadata",
    messageMetadata,
  });
  return new TransformStream({
    transform(chunk, controller) {
      switch (chunk.type) {
        case "start": {
          const started: MessageMetadata = {
            ...(chunk.messageMetadata as MessageMetadata | undefined),
            status: "streaming",
          };
          const in_its_place = chunk.messageId && siblings(chunk.messageId);
          if (in_its_place) started.siblings = in_its_place;
          controller.enqueue({ ...chunk, messageMetadata: started });
          onStart(started);
          return;
        }
        case "abort":
          ended = true;
          controller.enqueue(
            metadata({ status: chunk.reason === "interrupted" ? "interrupted" : "cancelled" }),
          );
          return;
        case "error": {
          ended = true;
          const type = (chunk as { errorType?: string }).errorType;
          controller.enqueue(
            metadata({ status: "error", error: { message: chunk.errorText, type } }),
          );
          return;
        }
        case "finish":
          controller.enqueue(chunk);
          if (!ended) controller.enqueue(metadata({ status: "complete" }));
          ended = true;
          return;
        default:
          controller.enqueue(chunk);
      }
    },
  });
}
