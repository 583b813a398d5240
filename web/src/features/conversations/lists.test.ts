import { expect, it } from "vitest";
import type { ConversationItem } from "@/lib/api";
import { conversationWith } from "@/test/conversations";
import { belongs, itemsOf, type ListData, place, RECENT, withTags } from "./lists";

function list(pages: ConversationItem[][], next_cursor: string | null = null): ListData {
  return {
    pages: pages.map((items, index) => ({
      items,
      next_cursor: index < pages.length - 1 ? `after-${index}` : next_cursor,
    })),
    pageParams: pages.map(() => null),
  };
}

const ids = (data: ListData) => data.pages.map((page) => page.items.map(({ id }) => id));

const a = conversationWith("a", { updated_at: "2026-11-21T12:00:00Z" });
const b = conversationWith("b", { updated_at: "2026-11-20T12:00:00Z" });
const c = conversationWith("c", { updated_at: "2026-11-19T12:00:00Z" });

it("moves a pinned conversation to the top, below those pinned and used later", () => {
  const data = list([[a, b], [c]]);
  const pinned = place(data, RECENT, { ...c, pinned: true });
  expect(ids(pinned)).toEqual([["c", "a", "b"], []]);
  expect(ids(place(pinned, RECENT, { ...b, pinned: true }))).toEqual([["b", "c", "a"], []]);
  expect(ids(place(pinned, RECENT, c))).toEqual([["a", "b"], ["c"]]);
});

it("keeps a conversation's place when it is renamed", () => {
  const data = place(list([[a, b], [c]]), RECENT, { ...b, title: "new" });
  expect(ids(data).flat()).toEqual(["a", "b", "c"]);
  expect(itemsOf(data)[1]?.title).toBe("new");
});

it("tells times apart by what they say, not by how they are written", () => {
  const early = conversationWith("early", { updated_at: "2026-11-21T12:00:00Z" });
  const late = conversationWith("late", { updated_at: "2026-11-21T12:00:00.500Z" });
  expect(ids(place(list([[early]]), RECENT, late))).toEqual([["late", "early"]]);
});

it("takes out of a list what belongs there no more, and puts it back in its place", () => {
  const data = list([[a, b], [c]]);
  const without = place(data, RECENT, { ...b, archived: true });
  expect(ids(without)).toEqual([["a"], ["c"]]);
  expect(ids(place(without, RECENT, b)).flat()).toEqual(["a", "b", "c"]);
});

it("leaves to the server what belongs below the loaded pages", () => {
  expect(ids(place(list([[a, b]], "more"), RECENT, c))).toEqual([["a", "b"]]);
  expect(ids(place(list([[a, b]]), RECENT, c))).toEqual([["a", "b", "c"]]);
});

it("orders deleted conversations by when they were deleted, pinned or not", () => {
  const filter = { view: "deleted", tag: null } as const;
  const first = { ...a, pinned: true, deleted_at: "2026-11-21T13:00:00Z" };
  const last = { ...c, deleted_at: "2026-11-21T14:00:00Z" };
  expect(ids(place(list([[first]]), filter, last))).toEqual([["c", "a"]]);
});

it("knows which lists a conversation is in", () => {
  const item = conversationWith("x", { tags: ["work"] });
  expect(belongs(item, RECENT)).toBe(true);
  expect(belongs(item, { view: "recent", tag: "work" })).toBe(true);
  expect(belongs(item, { view: "recent", tag: "home" })).toBe(false);
  expect(belongs({ ...item, archived: true }, RECENT)).toBe(false);
  expect(belongs({ ...item, archived: true }, { view: "archived", tag: null })).toBe(true);
  const deleted = { ...item, archived: true, deleted_at: "2026-11-21T13:00:00Z" };
  expect(belongs(deleted, { view: "archived", tag: null })).toBe(false);
  expect(belongs(deleted, { view: "deleted", tag: "work" })).toBe(true);
});

it("lists a conversation once that moved between two pages", () => {
  expect(
    itemsOf(
      list([
        [a, b],
        [b, c],
      ]),
    ).map(({ id }) => id),
  ).toEqual(["a", "b", "c"]);
});

it("reads tags that were typed", () => {
  expect(withTags(["a"], " b , a,, c d ")).toEqual(["a", "b", "c d"]);
});
