/** A conversation as a tree: other versions of messages, what other tabs do, and ratings. */
import { waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { Conversation, StoredMessage } from "@/lib/api";
import { branchOf, storedWith } from "@/test/branches";
import { hooksWith } from "@/test/sessions";
import {
  answerParts,
  DONE,
  frames,
  problemResponse,
  type Sent,
  serve,
  streamResponse,
} from "@/test/streams";
import { saveGuestConversation } from "./guest-storage";
import { siblingsOf, textOf } from "./messages";
import { Session, type SessionHooks } from "./session";

function open(conversation: Conversation | null, given: Partial<SessionHooks> = {}) {
  const hooks = hooksWith(given);
  const session = new Session("c1", hooks, null);
  if (conversation !== null) session.open(conversation, session.turn);
  return { session, hooks };
}

const whole = (text: string, run_id = "run-9") =>
  streamResponse([...frames(answerParts(text, { run_id })), DONE], { run_id });

const idOf = (request: Sent | undefined) =>
  (request?.body.message as { id: string } | undefined)?.id ?? "";

const texts = (session: Session) => session.chat.messages.map(textOf);

/** Two turns. */
const BRANCH: StoredMessage[] = [
  storedWith("q1", "user", "one"),
  storedWith("a1", "assistant", "One."),
  storedWith("q2", "user", "two"),
  storedWith("a2", "assistant", "Two."),
];

describe("sending", () => {
  it("goes on below what is seen", async () => {
    const { session } = open(branchOf(BRANCH));
    const sent = serve(whole("Three."));
    await session.send("three");
    expect(sent[0]?.body).toMatchObject({ parent_id: "a2", message: { role: "user" } });
  });

  it("leaves the place of a first message to the server", async () => {
    const { session } = open(null);
    const sent = serve(whole("One."));
    await session.send("one");
    expect(sent[0]?.body).not.toHaveProperty("parent_id");
  });

  it("is done with a message that was taken though its answer never came", async () => {
    const { session } = open(branchOf(BRANCH.slice(0, 2)));
    const sent = serve(() => {
      throw new TypeError("Failed to fetch");
    });
    await session.send("two");
    expect(session.state.get().draft).toBe("two");
    const id = idOf(sent[0]);

    const taken = [
      ...BRANCH.slice(0, 2),
      storedWith(id, "user", "two"),
      storedWith("a", "assistant", "Two."),
    ];
    session.open(branchOf(taken), session.turn);

    expect(session.state.get()).toMatchObject({ draft: "", failure: null });
    expect(texts(session)).toEqual(["one", "One.", "two", "Two."]);
  });
});

describe("editing", () => {
  it("sends a new message beside the old one", async () => {
    const { session } = open(branchOf(BRANCH));
    const sent = serve(whole("Two again."));
    session.startEdit("q2");
    expect(session.state.get().edit).toEqual({ id: "q2", text: "two" });
    session.setEdit("two, please ");
    await session.sendEdit();

    const id = idOf(sent[0]);
    expect(sent[0]?.body).toMatchObject({ parent_id: "a1", trigger: "submit-message" });
    expect(texts(session)).toEqual(["one", "One.", "two, please", "Two again."]);
    expect(session.chat.messages.map(siblingsOf)).toEqual([["q1"], ["a1"], ["q2", id], ["run-9"]]);
    expect(session.state.get().edit).toBeNull();
  });

  it("sends the first message to the root, with its files", async () => {
    const file = {
      type: "file",
      mediaType: "text/plain",
      filename: "a.txt",
      url: "data:,",
    } as const;
    const first = storedWith("q1", "user", "one", { parts: [file, { type: "text", text: "one" }] });
    const { session } = open(branchOf([first, storedWith("a1", "assistant", "One.")]));
    const sent = serve(whole("Uno."));
    session.startEdit("q1");
    session.setEdit("uno");
    await session.sendEdit();
    expect(sent[0]?.body).toMatchObject({
      parent_id: null,
      message: { parts: [file, { type: "text", text: "uno" }] },
    });
  });

  it("takes a refused edit back, and sends it again under its id", async () => {
    const { session } = open(branchOf(BRANCH));
    const sent = serve(problemResponse(429, "Wait."), whole("Two again."));
    session.startEdit("q2");
    session.setEdit("two!");
    await session.sendEdit();
    expect(texts(session)).toEqual(["one", "One.", "two", "Two."]);
    expect(session.state.get()).toMatchObject({
      edit: { id: "q2", text: "two!" },
      failure: { detail: "Wait." },
      draft: "",
    });
    await session.sendEdit();
    expect(idOf(sent[1])).toBe(idOf(sent[0]));
    expect(texts(session).at(-1)).toBe("Two again.");
  });

  it("takes a refused edit along to where the person signs in", async () => {
    const { session } = open(null, { isGuest: () => true });
    serve(whole("One."), problemResponse(429, "Sign in to go on."));
    await session.send("one");
    session.startEdit(session.chat.messages[0]?.id ?? "");
    expect(session.unsentDraft.text).toBe("");
    session.setEdit("uno");
    await session.sendEdit();
    session.setDraft("and due");
    expect(session.unsentDraft.text).toBe("uno\n\nand due");
  });

  it("replaces what a guest's browser holds", async () => {
    const { session } = open(null, { isGuest: () => true });
    serve(whole("One.", "a1"), whole("Two.", "a2"), whole("Uno.", "a3"));
    await session.send("one");
    await session.send("two");
    session.startEdit(session.chat.messages[0]?.id ?? "");
    session.setEdit("uno");
    await session.sendEdit();
    expect(texts(session)).toEqual(["uno", "Uno."]);
    expect(session.chat.messages.map((message) => siblingsOf(message).length)).toEqual([1, 1]);
  });
});

describe("answering again", () => {
  it("asks another model for an answer beside the others", async () => {
    const { session } = open(branchOf(BRANCH));
    const sent = serve(whole("One, differently."));
    await session.regenerate("a1", "scripted/story");
    expect(sent[0]?.body).toMatchObject({
      trigger: "regenerate-message",
      messageId: "a1",
      model: "scripted/story",
    });
    expect(texts(session)).toEqual(["one", "One, differently."]);
    expect(session.chat.messages.map(siblingsOf)).toEqual([["q1"], ["a1", "run-9"]]);
    expect(session.state.get().model).toBe("scripted/story");
  });

  it("keeps its place when its stream is replayed", async () => {
    const stored = [
      storedWith("q1", "user", "one"),
      storedWith("run-9", "assistant", "On", { status: "streaming", siblings: ["a1", "run-9"] }),
    ];
    serve(whole("One."));
    const { session, hooks } = open(branchOf(stored, { active_run_id: "run-9" }));
    await waitFor(() => expect(hooks.onSettled).toHaveBeenCalled());
    expect(session.chat.messages.map(siblingsOf)).toEqual([["q1"], ["a1", "run-9"]]);
  });
});

describe("switching and deleting", () => {
  const other = branchOf([
    storedWith("q1", "user", "one"),
    storedWith("a0", "assistant", "Other.", { siblings: ["a0", "a1"] }),
  ]);

  it("shows the branch that was chosen, and keeps it for who comes back", async () => {
    const { session, hooks } = open(branchOf(BRANCH));
    const sent = serve(Response.json(other));
    await session.select("a0");
    expect(sent[0]).toMatchObject({ method: "PUT", body: { message_id: "a0" } });
    expect(texts(session)).toEqual(["one", "Other."]);
    expect(hooks.onRead).toHaveBeenCalledWith(other, session.turn);
  });

  it("looks again when what was chosen is gone", async () => {
    const { session, hooks } = open(branchOf(BRANCH));
    serve(problemResponse(404, "No such message."));
    await session.select("gone");
    expect(session.state.get().failure?.detail).toBe("No such message.");
    expect(hooks.onBehind).toHaveBeenCalledWith("c1");
  });

  it("shows what is left", async () => {
    const { session } = open(branchOf(BRANCH));
    const sent = serve(Response.json(other));
    await session.remove("a1");
    expect(sent[0]).toMatchObject({ method: "DELETE", url: "/api/conversations/c1/messages/a1" });
    expect(texts(session)).toEqual(["one", "Other."]);
  });

  it("deletes nothing under an answer that has begun meanwhile", async () => {
    const { session } = open(branchOf(BRANCH));
    let end = () => {};
    const sent = serve(() => new Promise((resolve) => (end = () => resolve(whole("Three.")))));
    const sending = session.send("three");
    await waitFor(() => expect(sent).toHaveLength(1));
    await expect(session.remove("a1")).rejects.toThrow("Stop it first.");
    end();
    await sending;
    expect(texts(session).at(-1)).toBe("Three.");
  });

  it("says why nothing was deleted", async () => {
    const { session } = open(branchOf(BRANCH));
    serve(problemResponse(409, "Stop it first."));
    await expect(session.remove("a1")).rejects.toThrow("Stop it first.");
    expect(texts(session)).toHaveLength(4);
  });
});

describe("what others do", () => {
  const head = (active_leaf_id: string | null, status: "complete" | "streaming" | null) => ({
    active_leaf_id,
    status,
    active_run_id: status === "streaming" ? active_leaf_id : null,
  });

  it("is noticed by where the branch ends and how", () => {
    const { session, hooks } = open(branchOf(BRANCH));
    session.compare(head("a2", "complete"), session.turn);
    expect(hooks.onBehind).not.toHaveBeenCalled();
    session.compare(head("a3", "streaming"), session.turn);
    session.compare(head(null, null), session.turn);
    expect(hooks.onBehind).toHaveBeenCalledTimes(2);
  });

  it("is not taken from before a turn of one's own, nor over an edit", () => {
    const { session, hooks } = open(branchOf(BRANCH));
    session.compare(head("a3", "complete"), session.turn - 1);
    session.startEdit("q2");
    session.compare(head("a3", "complete"), session.turn);
    expect(hooks.onBehind).not.toHaveBeenCalled();
  });

  it("is no news where this page saw the end first", async () => {
    const { session, hooks } = open(branchOf(BRANCH));
    serve(whole("Three."));
    await session.send("three");
    session.compare(head("run-9", "streaming"), session.turn);
    expect(hooks.onBehind).not.toHaveBeenCalled();
    session.compare(head("run-9", "complete"), session.turn);
    expect(hooks.onBehind).not.toHaveBeenCalled();
  });

  it("is followed to its end", async () => {
    const { session, hooks } = open(branchOf(BRANCH));
    serve(whole("Three."));
    const begun = [
      ...BRANCH,
      storedWith("q3", "user", "three"),
      storedWith("run-9", "assistant", "", { status: "streaming" }),
    ];
    session.open(branchOf(begun, { active_run_id: "run-9" }), session.turn);
    await waitFor(() => expect(hooks.onSettled).toHaveBeenCalled());
    expect(texts(session).slice(-2)).toEqual(["three", "Three."]);
  });

  it("does not have a run of another branch answer a question that has none", () => {
    const { session } = open(null);
    const sent = serve();
    session.open(branchOf([storedWith("q1", "user", "one")], { active_run_id: "x" }), session.turn);
    expect(sent).toEqual([]);
    expect(texts(session)).toEqual(["one"]);
  });

  it("is shown to a guest whose other tab goes on", () => {
    const { session } = open(null, { isGuest: () => true });
    const parts = [{ type: "text" as const, text: "hi" }];
    saveGuestConversation(
      "c1",
      [
        { id: "q", role: "user", parts },
        { id: "a", role: "assistant", parts },
      ],
      null,
    );
    session.openGuest();
    expect(texts(session)).toEqual(["hi", "hi"]);
  });

  it("ends in a stop also where an answer cannot be followed", async () => {
    const { session, hooks } = open(null);
    const sent = serve(new Response(null, { status: 204 }), new Response(null, { status: 202 }));
    const stored = [
      storedWith("q1", "user", "one"),
      storedWith("run-9", "assistant", "", { status: "streaming" }),
    ];
    session.open(branchOf(stored, { active_run_id: "run-9" }), session.turn);
    await waitFor(() => expect(hooks.onSettled).toHaveBeenCalled());
    await session.stop();
    expect(sent[1]).toMatchObject({ url: "/api/chat/c1/stop", body: { run_id: "run-9" } });
  });
});

describe("rating", () => {
  const feedbackOf = (session: Session) => session.chat.messages[1]?.metadata?.feedback;

  it("is seen at once, and taken back when it was not taken", async () => {
    const { session } = open(branchOf(BRANCH));
    const sent = serve(Response.json({}), problemResponse(503, "Busy."));
    const rating = session.rate("a1", { rating: "up", note: null });
    expect(feedbackOf(session)).toEqual({ rating: "up", note: null });
    await rating;
    await session.rate("a1", null);
    expect(sent.map(({ method }) => method)).toEqual(["PUT", "DELETE"]);
    expect(feedbackOf(session)).toEqual({ rating: "up", note: null });
    expect(session.state.get().failure?.detail).toBe("Busy.");
  });

  it("that another device gave is shown without touching the rest", () => {
    const { session } = open(branchOf(BRANCH));
    const rated = storedWith("a1", "assistant", "One.", {
      feedback: { rating: "down", note: "No." },
    });
    session.open(branchOf(BRANCH.with(1, rated)), session.turn);
    expect(feedbackOf(session)).toEqual({ rating: "down", note: "No." });
  });
});

describe("settings", () => {
  const parameters = {
    max_output_tokens: null,
    reasoning_effort: "high",
    temperature: 0.5,
  } as const;

  it("hold where a message says nothing of its own", async () => {
    const { session } = open(branchOf(BRANCH, { parameters }), { reasoningEffort: () => "low" });
    const sent = serve(whole("Three."));
    await session.send("three");
    expect(sent[0]?.body).not.toHaveProperty("reasoning_effort");
    expect(session.own_effort).toBe("high");
  });

  it("are known as soon as they are saved", async () => {
    const { session, hooks } = open(branchOf(BRANCH));
    const changed = branchOf(BRANCH, { system_prompt: "Be brief.", model: "scripted/story" });
    const sent = serve(Response.json(changed));
    await session.changeSettings({ system_prompt: "Be brief." });
    expect(sent[0]).toMatchObject({ method: "PATCH", body: { system_prompt: "Be brief." } });
    expect(session.state.get()).toMatchObject({
      model: "scripted/story",
      settings: { system_prompt: "Be brief." },
    });
    expect(hooks.onRead).toHaveBeenCalledWith(changed, session.turn);
  });
});
