/** A conversation from the first message to its end, with the server played by the test. */
import { waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { Conversation, MessageStatus } from "@/lib/api";
import { branchOf, storedWith } from "@/test/branches";
import { modelWith } from "@/test/models";
import { hooksWith } from "@/test/sessions";
import { answerParts, DONE, frames, problemResponse, serve, streamResponse } from "@/test/streams";
import { readGuestMessages, saveGuestConversation } from "./guest-storage";
import { textOf } from "./messages";
import { Session, type SessionHooks } from "./session";

const PNG = `data:image/png;base64,${btoa("x")}`;

const NOTHING = { id: "0", filename: "b.png", mediaType: "image/png", size: 1 };

/** A guest's. */
function open(given: Partial<SessionHooks> = {}) {
  const hooks = hooksWith({ isGuest: () => true, ...given });
  return { session: new Session("c1", hooks, null), hooks };
}

const whole = (text: string, run_id?: string) =>
  streamResponse([...frames(answerParts(text, { run_id })), DONE]);

function seen(session: Session) {
  return session.chat.messages.map((message) => [
    message.role,
    textOf(message),
    message.metadata?.status,
  ]);
}

function conversation(status: MessageStatus, text: string): Conversation {
  return branchOf(
    [storedWith("q", "user", text), storedWith("run-1", "assistant", text, { status })],
    { model: "scripted/story", active_run_id: status === "streaming" ? "run-1" : null },
  );
}

describe("sending", () => {
  it("follows the answer to its end and keeps a guest's branch", async () => {
    const { session, hooks } = open();
    serve(whole("hello there"));
    await session.send("hi");
    expect(seen(session)).toEqual([
      ["user", "hi", undefined],
      ["assistant", "hello there", "complete"],
    ]);
    expect(hooks.onStarted).toHaveBeenCalledExactlyOnceWith("c1");
    expect(hooks.onSettled).toHaveBeenCalledExactlyOnceWith("c1", false);
    expect(readGuestMessages("c1")).toHaveLength(2);
  });

  it("puts a refused message back, and says what to do", async () => {
    const { session } = open();
    serve(problemResponse(429, "Sign in to go on."));
    await session.send("hi");
    expect(session.chat.messages).toEqual([]);
    expect(session.chat.status).toBe("ready");
    expect(session.state.get()).toMatchObject({
      draft: "hi",
      failure: { detail: "Sign in to go on.", action: "sign-in" },
      started: false,
    });
    expect(readGuestMessages("c1")).toBeNull();
  });

  it("sends the same text again under the same id", async () => {
    const { session } = open();
    const sent = serve(problemResponse(503, "Busy."), whole("now"), whole("other"));
    await session.send("hi");
    await session.send("hi");
    await session.send("hi");
    const ids = sent.map(({ body }) => (body.messages as { id: string }[]).at(-1)?.id);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
    expect(session.state.get().failure).toBeNull();
  });

  it("tells titles as they come", async () => {
    const { session, hooks } = open();
    const parts = answerParts("hello");
    parts.splice(3, 0, {
      type: "data-title",
      data: { title: "A greeting" },
      transient: true,
    } as never);
    serve(streamResponse([...frames(parts), DONE]));
    await session.send("hi");
    expect(hooks.onTitle).toHaveBeenCalledExactlyOnceWith("c1", "A greeting");
  });
});

it("sends a guest's reasoning back with what its provider wants with it", async () => {
  const { session } = open();
  const signed = { anthropic: { signature: "c2lnbmVk" } };
  const redacted = { anthropic: { redactedData: "cmVk" } };
  const parts = answerParts("Forty-two.");
  parts.splice(
    2,
    0,
    ...([
      { type: "reasoning-start", id: "r" },
      { type: "reasoning-delta", id: "r", delta: "Hm." },
      { type: "reasoning-end", id: "r", providerMetadata: signed },
      { type: "reasoning-start", id: "s" },
      { type: "reasoning-end", id: "s", providerMetadata: redacted },
    ] as never[]),
  );
  const sent = serve(streamResponse([...frames(parts), DONE]), whole("sure"));
  await session.send("What?");
  await session.send("Sure?");
  expect(sent[1]?.body.messages).toMatchObject([
    {},
    {
      parts: [
        { type: "reasoning", text: "Hm.", providerMetadata: signed },
        { type: "reasoning", text: "", providerMetadata: redacted },
        { type: "text", text: "Forty-two." },
      ],
    },
    {},
  ]);
});

it("is told in mid-answer that another model answers", async () => {
  const { session } = open();
  const parts = answerParts("hello");
  const messageMetadata = { model: "p/b", fallback_from: "p/a", omitted_messages: 2 };
  parts.splice(1, 0, { type: "message-metadata", messageMetadata } as never);
  serve(streamResponse([...frames(parts), DONE]));
  await session.send("hi");
  expect(session.chat.messages.at(-1)?.metadata).toMatchObject({
    ...messageMetadata,
    status: "complete",
  });
});

describe("attaching", () => {
  const model = modelWith("scripted/echo", { display_name: "Echo", capabilities: ["vision"] });
  const picture = (name = "a.png") => new File(["x"], name, { type: "image/png" });
  const part = { type: "file", mediaType: "image/png", filename: "a.png", url: PNG };
  const names = (session: Session) =>
    session.state.get().attachments.map(({ filename }) => filename);

  const url = "/api/attachments/01a20029-2500-7691-82d0-cb58259cee26/content";
  const known = () =>
    Response.json({ id: "a1", media_type: "image/png", url, upload: null }, { status: 201 });

  it("sends files before the text", async () => {
    const { session } = open({ isGuest: () => false });
    const sent = serve(known(), whole("a picture"));
    await session.attach([picture()], model);
    await session.send("What is it?");
    expect(sent[1]?.body.message).toMatchObject({
      parts: [
        { ...part, url },
        { type: "text", text: "What is it?" },
      ],
    });
    expect(session.state.get().attachments).toEqual([]);
  });

  it("says at a file why it was not uploaded, and sends it again", async () => {
    const { session } = open({ isGuest: () => false });
    serve(problemResponse(503, "The store of files cannot be reached."), known());
    await session.attach([picture()], model);
    const [refused] = session.state.get().attachments;
    expect(refused).toMatchObject({ filename: "a.png", url: null });
    expect(refused?.error).toBe("a.png was not uploaded. The store of files cannot be reached.");
    session.attachAgain(refused?.id ?? "");
    expect(session.state.get().attachments[0]).toMatchObject({ progress: 0, error: undefined });
    await waitFor(() => expect(session.state.get().attachments[0]?.url).toBe(url));
    expect(session.state.get().attachments[0]?.error).toBeUndefined();
  });

  /** A message that was sent off while its file is on its way. */
  const waiting = (...answers: Response[]) => {
    const { session } = open({ isGuest: () => false });
    const sent = serve(...answers);
    const attached = session.attach([picture()], model);
    session.setDraft("What is it?");
    void session.send("What is it?");
    expect(session.state.get()).toMatchObject({ waiting: true, draft: "What is it?" });
    return { session, sent, attached };
  };

  it("sends a message by itself once its files have arrived", async () => {
    const { session, sent } = waiting(known(), whole("a picture"));
    await waitFor(() => expect(seen(session)).toHaveLength(2));
    expect(sent[1]?.body.message).toMatchObject({
      parts: [
        { ...part, url },
        { type: "text", text: "What is it?" },
      ],
    });
    expect(session.state.get()).toMatchObject({ waiting: false, draft: "", attachments: [] });
  });

  it.each<[string, (session: Session) => unknown]>([
    ["is held back", (session) => session.holdBack()],
    ["is being written on", (session) => session.setDraft("What is it? And")],
    ["lacks its file", (session) => session.detach(session.state.get().attachments[0]?.id ?? "")],
    ["is for another model", (session) => session.setModel("other/model")],
    [
      "was to have another file",
      (session) => session.attach([new File(["x"], "a.exe", { type: "application/x" })], model),
    ],
  ])("sends nothing by itself that %s", async (_, change) => {
    const { session, sent, attached } = waiting(known(), whole("unasked"));
    await change(session);
    expect(session.state.get().waiting).toBe(false);
    await attached;
    expect(session.chat.messages).toEqual([]);
    expect(session.state.get().draft).toMatch(/^What is it\?/);
    expect(sent.map(({ url }) => url)).not.toContain("/api/chat");
  });

  it("sends nothing by itself whose file was not taken", async () => {
    const refusal = problemResponse(503, "The store of files cannot be reached.");
    const { session, attached } = waiting(refusal, whole("unasked"));
    await attached;
    expect(session.state.get()).toMatchObject({ waiting: false, draft: "What is it?" });
    expect(session.chat.messages).toEqual([]);
  });

  it("sends what waits after an answer during which its files arrived", async () => {
    const { session } = open({ isGuest: () => false });
    const answers = [whole("first", "run-1"), whole("second", "run-2"), whole("third", "run-3")];
    let goOn = () => {};
    const arrived = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    vi.stubGlobal("fetch", async (url: string) => {
      if (url !== "/api/chat") return known();
      if (answers.length === 2) await arrived;
      return answers.shift();
    });
    await session.send("hi");
    const attached = session.attach([picture()], model);
    void session.send("What is it?");
    const again = session.regenerate(session.chat.messages.at(-1)?.id ?? "");
    await attached;
    expect(session.state.get().waiting).toBe(true);
    goOn();
    await again;
    await waitFor(() => expect(seen(session)).toHaveLength(4));
    expect(session.state.get()).toMatchObject({ waiting: false, attachments: [] });
  });

  it("forgets a file that was taken out on its way", async () => {
    const { session } = open({ isGuest: () => false });
    const sent = serve(known());
    const attached = session.attach([picture()], model);
    session.detach(session.state.get().attachments[0]?.id ?? "");
    await attached;
    expect(session.state.get().attachments).toEqual([]);
    expect(sent.length).toBeLessThanOrEqual(1);
  });

  it("sends a file without a word", async () => {
    const { session } = open();
    const sent = serve(whole("a picture"));
    await session.attach([picture()], model);
    await session.send("");
    expect(sent[0]?.body.messages).toMatchObject([{ parts: [part] }]);
    expect(readGuestMessages("c1")?.[0]?.parts).toEqual([part]);
  });

  it("takes a refused message back with its files, and sends it again under its id", async () => {
    const { session } = open();
    const sent = serve(problemResponse(422, "Too large."), whole("now"), whole("then"));
    await session.attach([picture()], model);
    await session.send("hi");
    expect(session.state.get()).toMatchObject({ draft: "hi", failure: { detail: "Too large." } });
    expect(names(session)).toEqual(["a.png"]);
    await session.send("hi");
    await session.attach([picture()], model);
    await session.send("hi");
    const ids = sent.map(({ body }) => (body.messages as { id: string }[]).at(-1)?.id);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it("says what it does not attach, and keeps the rest", async () => {
    const { session } = open();
    await session.attach([picture(), new File(["x"], "b.pdf", { type: "application/pdf" })], model);
    expect(names(session)).toEqual(["a.png"]);
    expect(session.state.get().failure?.detail).toMatch(/^b\.pdf cannot be sent: Echo/);
    await session.attach([new File([new Uint8Array([0xff])], "c.txt")], model);
    expect(names(session)).toEqual(["a.png"]);
    expect(session.state.get().failure?.detail).toBe("c.txt is not a text file in UTF-8.");
  });

  it("counts files that are still being read", async () => {
    const { session } = open();
    const names_of = (prefix: string) => [1, 2, 3].map((number) => picture(`${prefix}${number}`));
    await Promise.all([session.attach(names_of("a"), model), session.attach(names_of("b"), model)]);
    expect(names(session)).toEqual(["a1", "a2", "a3", "b1"]);
    expect(session.state.get().attachments.every(({ url }) => url === PNG)).toBe(true);
  });

  it("hands on what is written and read, as to who signs in", async () => {
    const { session } = open();
    await session.attach([picture()], model);
    session.setDraft("hi");
    const { text, attachments } = session.unsentDraft;
    const { session: next } = open();
    next.setUnsentDraft({ text, attachments: [...attachments, { ...NOTHING, url: null }] });
    expect(next.state.get().draft).toBe("hi");
    expect(names(next)).toEqual(["a.png"]);
  });

  it("goes on when the browser's storage is full, and says so once", async () => {
    const { session } = open();
    vi.stubGlobal("localStorage", {
      getItem: () => null,
      removeItem: () => {},
      setItem: () => {
        throw new DOMException("", "QuotaExceededError");
      },
    });
    serve(whole("still here"), whole("and here"));
    await session.send("hi");
    expect(seen(session).at(-1)).toEqual(["assistant", "still here", "complete"]);
    expect(session.state.get().notice).toMatch(/storage is full\. This conversation/);
    session.dismissNotice();
    await session.send("again");
    expect(session.state.get().notice).toBeNull();
  });
});

describe("resuming", () => {
  it("drops the partial that the stream replays", async () => {
    const { session, hooks } = open({ isGuest: () => false });
    const sent = serve(whole("once upon a time"));
    session.open(conversation("streaming", "once up"), session.turn);
    expect(seen(session)).toEqual([["user", "once up", "complete"]]);
    await waitFor(() => expect(hooks.onSettled).toHaveBeenCalled());
    expect(sent[0]?.url).toBe("/api/chat/c1/stream?run_id=run-1");
    expect(seen(session).slice(1)).toEqual([["assistant", "once upon a time", "complete"]]);
  });

  it("shows a user's unfollowed answer as one still being written", async () => {
    const { session, hooks } = open({ isGuest: () => false });
    serve(new Response(null, { status: 204 }));
    session.open(conversation("streaming", ""), session.turn);
    await waitFor(() => expect(hooks.onSettled).toHaveBeenCalled());
    expect(seen(session).slice(1)).toEqual([["assistant", "", "streaming"]]);
  });

  it("keeps what a guest has of an answer that is no more", async () => {
    saveGuestConversation(
      "c1",
      [
        { id: "q", role: "user", parts: [{ type: "text", text: "hi" }] },
        {
          id: "run-1",
          role: "assistant",
          parts: [{ type: "text", text: "hello th" }],
          metadata: { status: "streaming", model: "scripted/story" },
        },
      ],
      null,
    );
    const { session, hooks } = open();
    serve(new Response(null, { status: 204 }));
    session.openGuest();
    expect(session.state.get()).toMatchObject({ started: true, model: "scripted/story" });
    await waitFor(() => expect(hooks.onSettled).toHaveBeenCalled());
    expect(seen(session)).toEqual([
      ["user", "hi", undefined],
      ["assistant", "hello th", "interrupted"],
    ]);
  });

  it("leaves messages alone that it has already, with the ids they were sent by", async () => {
    const { session } = open({ isGuest: () => false });
    const sent = serve(whole("new"));
    await session.send("hi");
    session.open(conversation("complete", "new"), session.turn);
    const asked = sent[0]?.body.message as { id: string } | undefined;
    expect(session.chat.messages.map(({ id }) => id)).toEqual([asked?.id, "run-1"]);
  });

  it("does not put an older history over a newer turn", async () => {
    const { session } = open({ isGuest: () => false });
    const { turn } = session;
    serve(whole("new"));
    await session.send("newer");
    session.open(conversation("complete", "old"), turn);
    expect(seen(session).at(-1)).toEqual(["assistant", "new", "complete"]);
  });
});

describe("stopping", () => {
  it("asks the server, and waits for its word on what was kept", async () => {
    const { session } = open();
    let end = () => {};
    const parts = answerParts("one two three").slice(0, 5);
    const stopped = frames([{ type: "abort", reason: "cancelled" }], 6);
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        const write = (text: string) => controller.enqueue(new TextEncoder().encode(text));
        for (const frame of frames(parts)) write(frame);
        end = () => {
          for (const frame of [...stopped, DONE]) write(frame);
          controller.close();
        };
      },
    });
    const sent = serve(
      new Response(stream, { headers: { "x-tailrace-run-id": "run-1" } }),
      Response.json({ run_id: "run-1", status: "stopping" }, { status: 202 }),
    );
    const sending = session.send("count");
    await waitFor(() => expect(seen(session).at(-1)?.[1]).toBe("one two "));
    await session.stop();
    expect(sent[1]).toMatchObject({ url: "/api/chat/c1/stop", body: { run_id: "run-1" } });
    expect(session.state.get().stopping).toBe(true);
    expect(session.busy).toBe(true);
    end();
    await sending;
    expect(seen(session).at(-1)).toEqual(["assistant", "one two ", "cancelled"]);
    expect(session.state.get().stopping).toBe(false);
  });
});

describe("retrying", () => {
  const failed = () =>
    streamResponse([
      ...frames([
        { type: "start", messageId: "run-0" },
        { type: "error", errorText: "Too busy.", errorType: "overloaded" },
      ]),
      DONE,
    ]);

  it("asks for the same message again in place of the failed answer", async () => {
    const { session } = open({ isGuest: () => false });
    const sent = serve(failed(), whole("better"));
    await session.send("hi");
    expect(session.chat.messages.at(-1)?.metadata).toMatchObject({
      status: "error",
      error: { message: "Too busy.", type: "overloaded" },
    });
    await session.regenerate("run-0");
    expect(sent[1]?.body).toMatchObject({
      trigger: "regenerate-message",
      messageId: "run-0",
    });
    expect(sent[1]?.body.message).toBeUndefined();
    expect(seen(session)).toEqual([
      ["user", "hi", undefined],
      ["assistant", "better", "complete"],
    ]);
  });

  it("leaves the failed answer where it is when that cannot be sent either", async () => {
    const { session } = open();
    serve(failed(), problemResponse(503, "Busy."));
    await session.send("hi");
    await session.regenerate("run-0");
    expect(seen(session).at(-1)?.[2]).toBe("error");
    expect(session.state.get()).toMatchObject({ draft: "", failure: { detail: "Busy." } });
  });
});

it("marks an answer whose stream is lost for good", async () => {
  const { session, hooks } = open({ isGuest: () => false });
  serve(
    streamResponse(frames(answerParts("one two three").slice(0, 5))),
    new Response(null, { status: 204 }),
  );
  await session.send("count");
  expect(seen(session).at(-1)).toEqual(["assistant", "one two ", "interrupted"]);
  expect(hooks.onSettled).toHaveBeenCalledWith("c1", true);
});
