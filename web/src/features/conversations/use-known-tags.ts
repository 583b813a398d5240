/** The tags of all of a user's conversations, by name. */
import { useQuery } from "@tanstack/react-query";
import { keys } from "@/lib/query-client";
import { conversationsApi } from "./api";

const select = (tags: string[]) => tags.toSorted((a, b) => a.localeCompare(b));

export function useKnownTags(): string[] {
  const tags = useQuery({
    queryKey: keys.tags,
    queryFn: ({ signal }) => conversationsApi.tags(signal),
    select,
    staleTime: 60_000,
  });
  return tags.data ?? [];
}
