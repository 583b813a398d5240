/** The tags that the page has seen: those of the conversations in its lists. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { ARCHIVED, itemsOf, type ListData, listQuery, RECENT, tagsOf } from "./lists";

const select = (data: ListData) => tagsOf(itemsOf(data));

export function useKnownTags(): string[] {
  const recent = useInfiniteQuery({ ...listQuery(RECENT), select });
  // Not asked for by itself: it is known once somebody has looked at it.
  const archived = useInfiniteQuery({ ...listQuery(ARCHIVED), select, enabled: false });
  const tags = new Set([...(recent.data ?? []), ...(archived.data ?? [])]);
  return [...tags].sort((a, b) => a.localeCompare(b));
}
