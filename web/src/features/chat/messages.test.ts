/** Messages as the API, the stream and the page have them. */
import { describe, expect, it } from "vitest";
import { type ChatMessage, fromConversation, splitUnfinished, textOf, toBranch } from "./messages";

const question: ChatMessage = { id: "q", role: "user", parts: [{ type: "text", text: "why?" }] };
const answer = (status: "complete" | "streaming", text: string): ChatMessage => ({
  id: "a",
  role: "assistant",
  parts: [{ type: "step-start" }, { type: "reasoning", text: "hm" }, { type: "text", text }],
  metadata: { status },
});

describe("splitUnfinished", () => {
  it("parts the answer that is still being written", () => {
    const partial = answer("streaming", "bec");
    expect(splitUnfinished([question, partial])).toEqual({ settled: [question], partial });
  });

  it("leaves a finished history whole", () => {
    const messages = [question, answer("complete", "because")];
    expect(splitUnfinished(messages)).toEqual({ settled: messages, partial: null });
    expect(splitUnfinished([question])).toEqual({ settled: [question], partial: null });
    expect(splitUnfinished([])).toEqual({ settled: [], partial: null });
  });
});

describe("toBranch", () => {
  it("sends text alone, and no answer that stayed empty", () => {
    expect(toBranch([question, answer("complete", ""), question])).toEqual([
      { id: "q", role: "user", parts: [{ type: "text", text: "why?" }] },
      { id: "q", role: "user", parts: [{ type: "text", text: "why?" }] },
    ]);
    expect(toBranch([answer("complete", "so")])).toEqual([
      { id: "a", role: "assistant", parts: [{ type: "text", text: "so" }] },
    ]);
  });
});

it("keeps a stored message's status beside its metadata", () => {
  const [message] = fromConversation({
    id: "c",
    title: "t",
    model: "scripted/echo",
    created_at: "",
    updated_at: "",
    active_run_id: null,
    messages: [
      {
        id: "a",
        role: "assistant",
        status: "cancelled",
        parts: [{ type: "text", text: "half" }],
        metadata: { model: "scripted/echo", duration: 1.5 },
        created_at: "",
      },
    ],
  });
  expect(message?.metadata).toEqual({
    model: "scripted/echo",
    duration: 1.5,
    status: "cancelled",
  });
  expect(message && textOf(message)).toBe("half");
});
