/** A guest's conversations in the browser's own storage. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import {
  guestConversations,
  readGuestMessages,
  renameGuestConversation,
  saveGuestConversation,
  titleFrom,
} from "./guest-storage";
import type { ChatMessage } from "./messages";

const said = (text: string): ChatMessage[] => [
  { id: "q", role: "user", parts: [{ type: "text", text }] },
];

beforeEach(() => {
  // Another tab emptied the storage: the list follows.
  window.dispatchEvent(new StorageEvent("storage", { key: null }));
});

describe("guest storage", () => {
  it("lists conversations, the last used first, and gives their messages back", () => {
    saveGuestConversation("c1", said("one"), "p/m");
    saveGuestConversation("c2", said("two"), null);
    saveGuestConversation("c1", [...said("one"), ...said("more")], "p/m");
    expect(guestConversations.get().map(({ id, title }) => [id, title])).toEqual([
      ["c1", "one"],
      ["c2", "two"],
    ]);
    expect(readGuestMessages("c1")).toHaveLength(2);
    expect(readGuestMessages("c2")).toEqual(said("two"));
    expect(readGuestMessages("c3")).toBeNull();
  });

  it("keeps a title that was given", () => {
    saveGuestConversation("c1", said("one"), null);
    renameGuestConversation("c1", "The first");
    saveGuestConversation("c1", said("one"), null);
    expect(guestConversations.get()[0]?.title).toBe("The first");
  });

  it("is not troubled by what somebody else wrote there", () => {
    localStorage.setItem("tailrace.guest.conversations", "{oops");
    localStorage.setItem("tailrace.guest.conversation.c1", '"text"');
    expect(readGuestMessages("c1")).toBeNull();
    saveGuestConversation("c2", said("two"), null);
    expect(guestConversations.get()).toHaveLength(1);
  });

  it("lets the oldest make way when the room is used up", () => {
    vi.stubGlobal("localStorage", roomFor(4));
    for (const id of ["c1", "c2", "c3", "c4"]) saveGuestConversation(id, said(id), null);
    expect(guestConversations.get().map(({ id }) => id)).toEqual(["c4", "c3", "c2"]);
    expect(readGuestMessages("c1")).toBeNull();
    expect(readGuestMessages("c4")).toEqual(said("c4"));
  });

  it("takes its title from the first words", () => {
    expect(titleFrom(said("  What\n is   this? "))).toBe("What is this?");
    expect(titleFrom(said("x".repeat(100)))).toBe(`${"x".repeat(59)}…`);
    expect(titleFrom([])).toBe("New chat");
  });
});

/** A storage that holds so many keys and refuses more, as a browser does by size. */
function roomFor(keys: number): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    removeItem: (key) => void items.delete(key),
    setItem: (key, text) => {
      if (items.size >= keys && !items.has(key)) throw new DOMException("", "QuotaExceededError");
      items.set(key, text);
    },
  };
}
