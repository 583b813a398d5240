/** What the page sends, and what it makes of the stream that comes back. */
import type { UIMessageChunk } from "ai";
import { describe, expect, it, vi } from "vitest";
import { ProblemError } from "@/lib/problem";
import { answerParts, DONE, frames, problemResponse, serve, streamResponse } from "@/test/streams";
import type { ChatMessage } from "./messages";
import { ChatTransport, requestBody, type TransportHooks } from "./transport";

const MESSAGES: ChatMessage[] = [
  { id: "q1", role: "user", parts: [{ type: "text", text: "one" }] },
  {
    id: "a1",
    role: "assistant",
    parts: [{ type: "step-start" }, { type: "text", text: "two", state: "done" }],
    metadata: { status: "complete" },
  },
  { id: "q2", role: "user", parts: [{ type: "text", text: "three" }] },
];

function transport(hooks: Partial<TransportHooks> = {}) {
  return new ChatTransport({
    conversation_id: "c1",
    isGuest: () => false,
    model: () => "scripted/echo",
    reasoningEffort: () => null,
    runId: () => null,
    siblings: () => undefined,
    onStart: vi.fn(),
    onConnection: vi.fn(),
    ...hooks,
  });
}

function send(made: ChatTransport, trigger: "submit-message" | "regenerate-message") {
  return made.sendMessages({
    chatId: "c1",
    messages: MESSAGES,
    trigger,
    messageId: undefined,
    abortSignal: undefined,
  });
}

async function read(stream: ReadableStream<UIMessageChunk> | null): Promise<UIMessageChunk[]> {
  const chunks: UIMessageChunk[] = [];
  const reader = stream?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) return chunks;
    chunks.push(next.value);
  }
}

describe("requestBody", () => {
  it("sends a user's last message alone", () => {
    const body = requestBody("c1", MESSAGES, {
      isGuest: () => false,
      model: () => "p/m",
      reasoningEffort: () => "low",
    });
    expect(body).toEqual({
      id: "c1",
      message: { id: "q2", role: "user", parts: [{ type: "text", text: "three" }] },
      model: "p/m",
      reasoning_effort: "low",
    });
  });

  it("sends a guest's whole branch", () => {
    const body = requestBody("c1", MESSAGES, {
      isGuest: () => true,
      model: () => null,
      reasoningEffort: () => null,
    });
    expect(body).toEqual({
      id: "c1",
      messages: [
        { id: "q1", role: "user", parts: [{ type: "text", text: "one" }] },
        { id: "a1", role: "assistant", parts: [{ type: "text", text: "two" }] },
        { id: "q2", role: "user", parts: [{ type: "text", text: "three" }] },
      ],
      model: undefined,
      reasoning_effort: undefined,
    });
  });
});

describe("the place of a message", () => {
  const user = { isGuest: () => false, model: () => "p/m", reasoningEffort: () => null };

  it("is told of a message, the root as null", () => {
    expect(requestBody("c1", MESSAGES, user, { parent_id: "a1" })).toMatchObject({
      message: { id: "q2" },
      parent_id: "a1",
    });
    expect(requestBody("c1", MESSAGES, user, { parent_id: null })).toMatchObject({
      parent_id: null,
    });
  });

  it("is told of another answer by the answer that stands there", () => {
    const body = requestBody("c1", MESSAGES.slice(0, 1), user, { again: "a1" });
    expect(body).toEqual({ id: "c1", messageId: "a1", model: "p/m", reasoning_effort: undefined });
  });

  it("is told of a question without an answer by the question itself, which may be lost", () => {
    const body = requestBody("c1", MESSAGES.slice(0, 1), user, { again: "q1" });
    expect(body).toMatchObject({ id: "c1", message: { id: "q1" } });
  });

  it("is nothing that a guest's request tells", () => {
    const guest = { ...user, isGuest: () => true };
    const body = requestBody("c1", MESSAGES, guest, { parent_id: "a1", again: "a1" });
    expect(Object.keys(body)).toEqual(["id", "messages", "model", "reasoning_effort"]);
  });
});

describe("ChatTransport", () => {
  it("posts what was triggered, and tells the run when it starts", async () => {
    const onStart = vi.fn();
    const sent = serve(streamResponse([...frames(answerParts("hello")), DONE]));
    await read(await send(transport({ onStart }), "regenerate-message"));
    expect(sent[0]).toMatchObject({
      url: "/api/chat",
      method: "POST",
      body: { id: "c1", trigger: "regenerate-message", model: "scripted/echo" },
    });
    expect(onStart).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ run_id: "run-1", status: "streaming" }),
    );
  });

  it("reopens the same run after the last event when the connection breaks", async () => {
    const all = frames(answerParts("one two three"));
    const connection = vi.fn();
    const sent = serve(
      streamResponse(all.slice(0, 4), { end: "break" }),
      streamResponse([...all.slice(4), DONE]),
    );
    const chunks = await read(
      await send(transport({ onConnection: connection }), "submit-message"),
    );
    expect(sent[1]?.url).toBe("/api/chat/c1/stream?run_id=run-1");
    expect(sent[1]?.headers.get("last-event-id")).toBe("4");
    const text = chunks.map((chunk) => (chunk.type === "text-delta" ? chunk.delta : "")).join("");
    expect(text).toBe("one two three");
    expect(connection.mock.calls.flat()).toEqual(["reconnecting", "live"]);
  });

  it.each([
    [{ type: "finish", finishReason: "stop" }, { status: "complete" }],
    [{ type: "abort", reason: "cancelled" }, { status: "cancelled" }],
    [{ type: "abort", reason: "interrupted" }, { status: "interrupted" }],
    [
      { type: "error", errorText: "Too busy.", errorType: "overloaded" },
      { status: "error", error: { message: "Too busy.", type: "overloaded" } },
    ],
  ])("writes the outcome of %o into the metadata", async (ending, messageMetadata) => {
    const parts = [{ type: "start", messageId: "a" }, ending];
    serve(streamResponse([...frames(parts), DONE]));
    const chunks = await read(await send(transport(), "submit-message"));
    expect(chunks.at(-1)).toEqual({ type: "message-metadata", messageMetadata });
    expect(chunks.some((chunk) => chunk.type === "error")).toBe(false);
  });

  it("throws the problem that the server tells", async () => {
    serve(problemResponse(429, "Sign in to go on."));
    const error = await send(transport(), "submit-message").catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ status: 429, message: "Sign in to go on." });
  });

  it("resumes a run by its name, and says when there is none", async () => {
    const sent = serve(streamResponse([DONE]), new Response(null, { status: 204 }));
    const named = transport({ runId: () => "run-9" });
    expect(await named.reconnectToStream({ chatId: "c1" })).not.toBeNull();
    expect(await transport().reconnectToStream({ chatId: "c1" })).toBeNull();
    expect(sent.map(({ url }) => url)).toEqual([
      "/api/chat/c1/stream?run_id=run-9",
      "/api/chat/c1/stream",
    ]);
  });
});
