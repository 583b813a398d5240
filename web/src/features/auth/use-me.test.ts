/** Who comes and goes, and what of a guest comes along. The server is played by the test. */
import { waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";
import { guestConversations, readGuestMessages } from "@/features/chat/guest-storage";
import { draftId, forgetSessions, sessionFor } from "@/features/chat/sessions";
import type { Me } from "@/lib/api";
import { keys, queryClient } from "@/lib/query-client";
import { answerParts, DONE, frames, problemResponse, serve, streamResponse } from "@/test/streams";
import { dismissImport, importState } from "./guest-import";
import { keepDraft } from "./kept-draft";
import { arrive } from "./use-me";

const guest: Me = {
  kind: "guest",
  id: "g1",
  email: null,
  role: null,
  has_password: null,
  guest_limit: 20,
  guest_remaining: 19,
};
const user: Me = {
  kind: "user",
  id: "u1",
  email: "ada@example.com",
  role: "user",
  has_password: true,
  guest_limit: null,
  guest_remaining: null,
};
const imported = (id: string) =>
  Response.json({ items: [{ id, status: "imported", messages: 2, reason: null }], left_out: {} });

beforeEach(() => {
  window.dispatchEvent(new StorageEvent("storage", { key: null }));
  sessionStorage.clear();
  queryClient.clear();
  forgetSessions();
  dismissImport();
});

describe("signing in", () => {
  it("waits for the answer under way, and takes what there is of it when told not to", async () => {
    queryClient.setQueryData(keys.me, guest);
    const unfinished = frames(answerParts("one two three").slice(0, 5));
    const sent = serve(streamResponse(unfinished, { end: "open" }), imported("c1"));
    const sending = sessionFor("c1").send("count");
    await waitFor(() => expect(sessionFor("c1").chat.messages).toHaveLength(2));

    const arrived = arrive(user);
    const { phase } = importState.get();
    expect(phase).toBe("waiting");
    expect(queryClient.getQueryData(keys.me)).toEqual(guest);
    const state = importState.get();
    if (state.phase === "waiting") state.cut();

    expect(await arrived).toEqual(user);
    await sending;
    expect(sent[1]).toMatchObject({
      url: "/api/guests/import",
      body: {
        conversations: [
          {
            id: "c1",
            messages: [
              { role: "user", parts: [{ type: "text", text: "count" }] },
              { role: "assistant", parts: [{ type: "text", text: "one two " }] },
            ],
          },
        ],
      },
    });
    expect(guestConversations.get()).toEqual([]);
    expect(readGuestMessages("c1")).toBeNull();
    expect(queryClient.getQueryData(keys.me)).toEqual(user);
    expect(importState.get().phase).toBe("idle");
  });

  it("goes on as the user though the import failed", async () => {
    queryClient.setQueryData(keys.me, guest);
    serve(streamResponse([...frames(answerParts("hello")), DONE]), problemResponse(503, "Busy."));
    await sessionFor("c1").send("hi");
    await arrive(user);
    expect(queryClient.getQueryData(keys.me)).toEqual(user);
    expect(guestConversations.get()).toHaveLength(1);
    expect(importState.get()).toMatchObject({ phase: "failed", count: 1 });
  });

  it("keeps what was written, and asks once however often it is told who came", async () => {
    queryClient.setQueryData(keys.me, guest);
    const sent = serve(problemResponse(429, "Sign in to go on."));
    const draft = draftId.get();
    await sessionFor(draft).send("my long question");
    const [first, second] = await Promise.all([arrive(user), arrive({ ...user })]);
    expect(first).toBe(second);
    expect(sent).toHaveLength(1);
    expect(draftId.get()).not.toBe(draft);
    expect(sessionFor(draftId.get()).state.get().draft).toBe("my long question");
  });

  it("leaves a guest alone whose cookie was renewed", async () => {
    queryClient.setQueryData(keys.me, guest);
    const session = sessionFor("c1");
    session.setDraft("half a sent");
    await arrive({ ...guest, id: "g2" });
    expect(sessionFor("c1")).toBe(session);
  });
});

describe("coming back from the identity provider", () => {
  it("takes a guest's conversations over, and finds the draft", async () => {
    keepDraft({ conversation_id: "new", text: "my question", attachments: [] });
    serve();
    await arrive(user);
    expect(sessionFor(draftId.get()).state.get().draft).toBe("my question");
    expect(sessionStorage.length).toBe(0);
  });

  it("finds the draft as a guest whose sign-in was refused", async () => {
    keepDraft({ conversation_id: "new", text: "my question", attachments: [] });
    await arrive(guest);
    expect(sessionFor(draftId.get()).state.get().draft).toBe("my question");
  });
});

it("keeps the words of a user whose session has ended, not what was uploaded", async () => {
  queryClient.setQueryData(keys.me, user);
  const file = { id: "f", filename: "a.png", mediaType: "image/png", size: 1 };
  sessionFor("c1").setUnsentDraft({
    text: "half a sent",
    attachments: [{ ...file, url: "/api/attachments/f" }],
  });
  await arrive(guest);
  expect(sessionFor(draftId.get()).unsentDraft).toEqual({ text: "half a sent", attachments: [] });
});

it("shows nothing of a user to the guest who is left", async () => {
  queryClient.setQueryData(keys.me, user);
  queryClient.setQueryData(keys.conversation("c1"), { title: "secret" });
  const session = sessionFor("c1");
  await arrive(guest);
  expect(queryClient.getQueryData(keys.conversation("c1"))).toBeUndefined();
  expect(sessionFor("c1")).not.toBe(session);
});
