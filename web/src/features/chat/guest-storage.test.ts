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

  describe("when files use up the room", () => {
    const picture = (length: number) => ({
      type: "file" as const,
      mediaType: "image/png",
      filename: "a.png",
      url: `data:image/png;base64,${"A".repeat(length)}`,
    });
    const shown = (length: number): ChatMessage[] => [
      { id: "q", role: "user", parts: [picture(length), { type: "text", text: "what?" }] },
    ];
    const forgotten = { ...picture(0), url: "" };
    const held = (id: string) => readGuestMessages(id)?.[0]?.parts;

    it("lets the files of older conversations make way, never their words", () => {
      vi.stubGlobal("localStorage", roomOf(4_000));
      expect(saveGuestConversation("c1", shown(1_500), null)).toBe("all");
      expect(saveGuestConversation("c2", shown(200), null)).toBe("all");
      expect(saveGuestConversation("c3", shown(1_500), null)).toBe("without-files");
      expect(held("c1")).toEqual([forgotten, { type: "text", text: "what?" }]);
      expect(held("c2")?.[0]).toEqual(picture(200));
      expect(held("c3")?.[0]).toEqual(picture(1_500));
      expect(guestConversations.get()).toHaveLength(3);
    });

    it("keeps the words of a conversation whose files are too large by themselves", () => {
      vi.stubGlobal("localStorage", roomOf(4_000));
      saveGuestConversation("c1", said("one"), null);
      expect(saveGuestConversation("c2", shown(5_000), null)).toBe("without-files");
      expect(held("c2")).toEqual([forgotten, { type: "text", text: "what?" }]);
      expect(readGuestMessages("c1")).toEqual(said("one"));
    });

    it("says so when not even the words can be kept", () => {
      vi.stubGlobal("localStorage", roomOf(100));
      expect(saveGuestConversation("c1", said("x".repeat(200)), null)).toBe("nothing");
      expect(guestConversations.get()).toHaveLength(1);
    });
  });

  it("takes its title from the first words", () => {
    expect(titleFrom(said("  What\n is   this? "))).toBe("What is this?");
    expect(titleFrom(said("x".repeat(100)))).toBe(`${"x".repeat(59)}…`);
    expect(titleFrom([])).toBe("New chat");
    const file = { type: "file" as const, mediaType: "image/png", filename: "a.png", url: "" };
    expect(titleFrom([{ id: "q", role: "user", parts: [file] }])).toBe("a.png");
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

/** A storage that holds so many characters. */
function roomOf(chars: number): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const items = new Map<string, string>();
  const used = () => [...items].reduce((sum, [key, text]) => sum + key.length + text.length, 0);
  return {
    getItem: (key) => items.get(key) ?? null,
    removeItem: (key) => void items.delete(key),
    setItem: (key, text) => {
      const before = items.get(key);
      items.set(key, text);
      if (used() <= chars) return;
      if (before === undefined) items.delete(key);
      else items.set(key, before);
      throw new DOMException("", "QuotaExceededError");
    },
  };
}
