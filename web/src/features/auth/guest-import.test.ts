/** What a guest said on its way into an account, with the server played by the test. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  guestConversations,
  readGuestMessages,
  saveGuestConversation,
} from "@/features/chat/guest-storage";
import type { ChatMessage } from "@/features/chat/messages";
import { problemResponse, serve } from "@/test/streams";
import type { Outcome } from "./api";
import {
  batches,
  dismissImport,
  importGuestConversations,
  importState,
  toTold,
} from "./guest-import";

const asked = (text: string, id = "q"): ChatMessage => ({
  id,
  role: "user",
  parts: [{ type: "text", text }],
});
const answered = (
  text: string,
  status: "complete" | "streaming" | "cancelled" | "error" = "complete",
): ChatMessage => ({
  id: "a",
  role: "assistant",
  parts: text === "" ? [] : [{ type: "text", text, state: "done" }],
  metadata: { status, model: "p/m" },
});

function hold(id: string, messages = [asked("hi"), answered("hello")]): void {
  saveGuestConversation(id, messages, "p/m");
}

function report(items: Partial<Outcome>[], left_out = {}): Response {
  const whole = { status: "imported", messages: 2, reason: null };
  return Response.json({ items: items.map((item) => ({ ...whole, ...item })), left_out });
}

const held = () => guestConversations.get().map(({ id }) => id);

beforeEach(() => {
  window.dispatchEvent(new StorageEvent("storage", { key: null }));
  dismissImport();
});

describe("importing what a guest said", () => {
  it("sends every conversation whole, and forgets what was taken", async () => {
    hold("c1");
    hold("c2", [asked("two"), answered("stopped", "cancelled")]);
    const sent = serve(report([{ id: "c2" }, { id: "c1", status: "updated" }]));
    await importGuestConversations();
    expect(sent).toHaveLength(1);
    expect(sent[0]?.url).toBe("/api/guests/import");
    expect(sent[0]?.body.conversations).toMatchObject([
      {
        id: "c2",
        title: "two",
        model: "p/m",
        messages: [
          { id: "q", role: "user", parts: [{ type: "text", text: "two" }] },
          {
            id: "a",
            role: "assistant",
            parts: [{ type: "text", text: "stopped" }],
            metadata: { status: "cancelled", model: "p/m" },
          },
        ],
      },
      { id: "c1" },
    ]);
    expect(held()).toEqual([]);
    expect(readGuestMessages("c1")).toBeNull();
    expect(importState.get()).toEqual({ phase: "idle" });
  });

  it("asks nothing of the server when there is nothing to take over", async () => {
    const sent = serve();
    await importGuestConversations();
    expect(sent).toEqual([]);
  });

  it("keeps everything when it fails, and takes it over at another try", async () => {
    hold("c1");
    const sent = serve(problemResponse(503, "Busy."), report([{ id: "c1", status: "unchanged" }]));
    await importGuestConversations();
    expect(held()).toEqual(["c1"]);
    expect(readGuestMessages("c1")).toHaveLength(2);
    expect(importState.get()).toMatchObject({ phase: "failed", count: 1 });
    await importGuestConversations({ again: true });
    expect(sent[1]?.body).toEqual(sent[0]?.body);
    expect(held()).toEqual([]);
    expect(importState.get()).toEqual({ phase: "idle" });
  });

  it("keeps what the server does not name, and what it could not be told", async () => {
    hold("c1");
    hold("c2");
    serve(report([{ id: "c1" }]));
    await importGuestConversations();
    expect(held()).toEqual(["c2"]);
    serve();
    await importGuestConversations();
    expect(held()).toEqual(["c2"]);
    expect(importState.get()).toMatchObject({ phase: "failed", count: 1 });
  });

  it("keeps what was refused, says why, and offers it again only when it is asked to", async () => {
    hold("c1");
    hold("c2");
    const reason = "It cannot be imported under this id.";
    serve(report([{ id: "c2" }, { id: "c1", status: "refused", messages: 0, reason }]));
    await importGuestConversations();
    expect(held()).toEqual(["c1"]);
    expect(importState.get()).toEqual({
      phase: "told",
      detail: `1 conversation stays in this browser. ${reason}`,
    });

    const sent = serve(report([{ id: "c1" }]));
    await importGuestConversations();
    expect(sent).toEqual([]);
    await importGuestConversations({ again: true });
    expect(held()).toEqual([]);
  });

  it("offers what was refused again once something was said in it", async () => {
    hold("c1");
    serve(report([{ id: "c1", status: "refused", reason: "It holds no messages." }]));
    await importGuestConversations();
    hold("c1", [asked("hi"), answered("hello"), asked("more", "q2"), answered("sure")]);
    const sent = serve(report([{ id: "c1" }]));
    await importGuestConversations();
    expect(sent).toHaveLength(1);
  });

  it("does not let one that cannot be taken hold up the others", async () => {
    for (const id of ["c1", "c2", "c3"]) hold(id);
    const refuse = () => problemResponse(422, "The message is too long.");
    // c3, then c2 and c1 together, then each by itself.
    serve(refuse, report([{ id: "c3" }]), refuse, refuse, report([{ id: "c1" }]));
    await importGuestConversations();
    expect(held()).toEqual(["c2"]);
    expect(importState.get()).toEqual({
      phase: "told",
      detail: "1 conversation stays in this browser. The message is too long.",
    });
  });

  it("does not forget what was said while it was on its way", async () => {
    hold("c1");
    serve(() => {
      hold("c1", [asked("hi"), answered("hello"), asked("more", "q2"), answered("sure")]);
      return report([{ id: "c1" }]);
    });
    await importGuestConversations();
    expect(held()).toEqual(["c1"]);
    expect(readGuestMessages("c1")).toHaveLength(4);
  });

  it("tells which files were left out", async () => {
    hold("c1");
    serve(report([{ id: "c1" }], { files: 2 }));
    await importGuestConversations();
    expect(importState.get()).toEqual({
      phase: "told",
      detail: "2 files could not be kept with your conversations.",
    });
  });
});

describe("a question without an answer", () => {
  it("is asked in its conversation, under its id", async () => {
    hold("c1", [asked("hi"), answered("hello"), asked("and now?", "q2")]);
    hold("c2");
    const sent = serve(report([{ id: "c2" }, { id: "c1" }]), new Response("data: …"));
    await importGuestConversations();
    expect(sent.slice(1).map(({ url, body }) => [url, body])).toEqual([
      [
        "/api/chat",
        {
          id: "c1",
          message: { id: "q2", role: "user", parts: [{ type: "text", text: "and now?" }] },
        },
      ],
    ]);
  });

  it("stays in its conversation when it cannot be asked now", async () => {
    hold("c1", [asked("hi")]);
    serve(report([{ id: "c1" }]), problemResponse(429, "Your quota is used up."));
    await importGuestConversations();
    expect(held()).toEqual([]);
    expect(importState.get()).toEqual({ phase: "idle" });
  });

  it("is one whose answer was lost before its first word", () => {
    const question = asked("hi");
    expect(toTold([question, answered("", "streaming")])).toHaveLength(1);
    expect(toTold([question, answered("hel", "streaming")])).toHaveLength(2);
    // Somebody stopped this one, and knows.
    expect(toTold([question, answered("", "cancelled")])).toHaveLength(2);
    expect(toTold([question, answered("", "error")])).toHaveLength(2);
  });
});

describe("parting into requests", () => {
  const mib = 1024 * 1024;
  const of = (...sizes: number[]) => sizes.map((bytes) => ({ bytes }));

  it("keeps each within what the server takes", () => {
    const parted = batches(of(3 * mib, 2 * mib, 2 * mib, 100));
    expect(parted.map((batch) => batch.map(({ bytes }) => bytes))).toEqual([
      [3 * mib, 2 * mib],
      [2 * mib, 100],
    ]);
    expect(batches(of(...Array<number>(150).fill(10))).map(({ length }) => length)).toEqual([
      100, 50,
    ]);
    expect(batches([])).toEqual([]);
  });

  it("sends a conversation without its files where it would be too large", async () => {
    const picture = {
      type: "file" as const,
      mediaType: "image/png",
      filename: "a.png",
      url: `data:image/png;base64,${"A".repeat(6 * mib)}`,
    };
    hold("c1", [{ id: "q", role: "user", parts: [picture, { type: "text", text: "what?" }] }]);
    const sent = serve(report([{ id: "c1" }]), new Response(null));
    await importGuestConversations();
    const told = sent[0]?.body.conversations as { messages: { parts: unknown[] }[] }[];
    expect(told[0]?.messages[0]?.parts).toEqual([
      { type: "text", text: "[a.png was attached and is no longer kept]" },
      { type: "text", text: "what?" },
    ]);
  });
});
