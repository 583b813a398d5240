/** Messages as the API, the stream and the page have them. */
import { describe, expect, it } from "vitest";
import { branchOf, storedWith } from "@/test/branches";
import {
  type ChatMessage,
  filesOf,
  fromConversation,
  lastModelAskedFor,
  MAX_FILE_CHARS,
  type MessageMetadata,
  notesOf,
  splitUnfinished,
  textOf,
  toBranch,
  withoutFileData,
  withSendableFiles,
} from "./messages";

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

const picture = {
  type: "file" as const,
  mediaType: "image/png",
  filename: "a.png",
  url: "data:image/png;base64,AA==",
};

describe("toBranch", () => {
  it("sends no steps, no states, and no answer that stayed empty", () => {
    expect(toBranch([question, answer("complete", ""), question])).toEqual([
      { id: "q", role: "user", parts: [{ type: "text", text: "why?" }] },
      { id: "q", role: "user", parts: [{ type: "text", text: "why?" }] },
    ]);
    expect(toBranch([answer("complete", "so")])).toEqual([
      {
        id: "a",
        role: "assistant",
        parts: [
          { type: "reasoning", text: "hm" },
          { type: "text", text: "so" },
        ],
      },
    ]);
  });

  it("keeps what a provider wants back, also with a part that shows nothing", () => {
    const providerMetadata = { anthropic: { signature: "c2ln" } };
    const parts = [
      { type: "reasoning" as const, text: "", providerMetadata },
      { type: "text" as const, text: "so", providerMetadata },
    ];
    const message: ChatMessage = {
      id: "a",
      role: "assistant",
      parts: parts.map((part) => ({ ...part, state: "done" as const })),
    };
    expect(toBranch([message])[0]?.parts).toEqual(parts);
  });

  it("sends files, and tells of those that were not kept", () => {
    const asked: ChatMessage = { ...question, parts: [picture] };
    expect(toBranch([asked])[0]?.parts).toEqual([picture]);
    expect(toBranch(withoutFileData([asked]))[0]?.parts).toEqual([
      { type: "text", text: "[a.png was attached and is no longer kept]" },
    ]);
  });
});

describe("withSendableFiles", () => {
  const asked = (id: string, length: number): ChatMessage => ({
    id,
    role: "user",
    parts: [{ ...picture, url: "x".repeat(length) }],
  });

  it("sends the newest files, as many as a request has room for", () => {
    const half = MAX_FILE_CHARS / 2;
    const fitting = [asked("1", half), question, asked("2", half)];
    expect(withSendableFiles(fitting)).toBe(fitting);
    const urls = withSendableFiles([asked("0", 1), ...fitting]).map(
      (message) => filesOf(message)[0]?.url.length,
    );
    expect(urls).toEqual([0, half, undefined, half]);
  });
});

describe("notesOf", () => {
  const notes = (metadata: MessageMetadata) =>
    notesOf(metadata, (id) => id.toUpperCase()).map(({ text }) => text);

  it("says nothing of what is as expected", () => {
    expect(notes({ model: "p/a" })).toEqual([]);
    expect(notes({ model: "p/a", fallback_from: null, omitted_messages: 0 })).toEqual([]);
  });

  it("says that another model answered, and what was left out", () => {
    expect(notes({ model: "p/b", fallback_from: "p/a", omitted_messages: 1 })).toEqual([
      "P/B answered instead of P/A",
      "1 earlier message did not fit this model's context and was left out",
    ]);
    expect(notes({ model: "p/b", omitted_messages: 12, omitted_files: 1 })).toEqual([
      "12 earlier messages did not fit this model's context and were left out",
      "1 earlier file cannot be read by this model",
    ]);
  });
});

it("goes on with the model that was asked for, whichever answered", () => {
  const answered = (metadata: MessageMetadata): ChatMessage => ({
    ...answer("complete", "so"),
    metadata,
  });
  expect(lastModelAskedFor([answered({ model: "p/b", fallback_from: "p/a" }), question])).toBe(
    "p/a",
  );
  expect(lastModelAskedFor([answered({ model: "p/b", fallback_from: null })])).toBe("p/b");
  expect(lastModelAskedFor([question])).toBeNull();
});

it("keeps a stored message's status and place beside its metadata", () => {
  const stored = storedWith("a", "assistant", "half", {
    status: "cancelled",
    metadata: { model: "scripted/echo", duration: 1.5 },
    siblings: ["b", "a"],
    feedback: { rating: "up", note: null },
  });
  const [message] = fromConversation(branchOf([stored]));
  expect(message?.metadata).toEqual({
    model: "scripted/echo",
    duration: 1.5,
    status: "cancelled",
    siblings: ["b", "a"],
    feedback: { rating: "up", note: null },
  });
  expect(message && textOf(message)).toBe("half");
});
