/**
 * The loaded lists of conversations, and where a conversation stands in each. What a person
 * arranges shows at once this way, and goes back the same way when the server refuses it.
 */
import { type InfiniteData, infiniteQueryOptions } from "@tanstack/react-query";
import type { ConversationItem, Page } from "@/lib/api";
import { byCursor, keys, queryClient } from "@/lib/query-client";
import { conversationsApi, type ListFilter } from "./api";

export type ListData = InfiniteData<Page<ConversationItem>, string | null>;

export const RECENT: ListFilter = { view: "recent", tag: null };
export const ARCHIVED: ListFilter = { view: "archived", tag: null };

export function listQuery(filter: ListFilter) {
  return infiniteQueryOptions({
    // The list that other parts of the page know is the recent one, unfiltered.
    queryKey: isRecent(filter) ? keys.conversations : [...keys.conversations, filter],
    queryFn: ({ pageParam, signal }) => conversationsApi.list(filter, pageParam, signal),
    ...byCursor,
  });
}

function isRecent({ view, tag }: ListFilter): boolean {
  return view === "recent" && tag === null;
}

/** A conversation that moved up between two pages is in both; it is listed once. */
export function itemsOf(data: ListData): ConversationItem[] {
  const items = data.pages.flatMap((page) => page.items);
  return [...new Map(items.map((item) => [item.id, item])).values()];
}

export function belongs(item: ConversationItem, { view, tag }: ListFilter): boolean {
  if (tag !== null && !item.tags.includes(tag)) return false;
  if (item.deleted_at !== null) return view === "deleted";
  return view === (item.archived ? "archived" : "recent");
}

/** Whether `a` is listed before `b`: pinned, then last used; of deleted ones the last deleted. */
function isBefore(a: ConversationItem, b: ConversationItem, filter: ListFilter): boolean {
  const is_deleted = filter.view === "deleted";
  if (!is_deleted && a.pinned !== b.pinned) return a.pinned;
  const time = (item: ConversationItem) =>
    Date.parse((is_deleted ? item.deleted_at : null) ?? item.updated_at);
  return time(a) === time(b) ? a.id > b.id : time(a) > time(b);
}

/** The list with a conversation where it now belongs, if that part of the list is loaded. */
export function place(data: ListData, filter: ListFilter, item: ConversationItem): ListData {
  const pages = data.pages.map((page) => ({
    ...page,
    items: page.items.filter((other) => other.id !== item.id),
  }));
  if (!belongs(item, filter)) return { ...data, pages };
  for (const page of pages) {
    const at = page.items.findIndex((other) => isBefore(item, other, filter));
    if (at === -1) continue;
    page.items.splice(at, 0, item);
    return { ...data, pages };
  }
  const last = pages.at(-1);
  if (last?.next_cursor === null) last.items.push(item);
  return { ...data, pages };
}

/** Puts a conversation where it belongs in every list that is loaded. */
export function placeEverywhere(item: ConversationItem): void {
  const lists = queryClient.getQueriesData<ListData>({ queryKey: keys.conversations });
  for (const [key, data] of lists) {
    if (data === undefined) continue;
    queryClient.setQueryData<ListData>(key, place(data, (key[1] as ListFilter) ?? RECENT, item));
  }
}

/** Tags as a person typed them, divided by commas, added to those that are there. */
export function withTags(tags: string[], typed: string): string[] {
  const added = typed
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
  return [...new Set([...tags, ...added])];
}
