/** Searches as somebody types: what is asked no longer is cancelled, what was found stays until then. */
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { ProblemError } from "@/lib/problem";
import { byCursor } from "@/lib/query-client";
import { type Match, type SearchFilters, search } from "./api";

/** Milliseconds without a key before it is searched. */
const PAUSE = 180;

/** A value once it has stayed the same for a moment. */
export function useSettled<T>(value: T, pause = PAUSE): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pause);
    return () => clearTimeout(timer);
  }, [value, pause]);
  return settled;
}

export function useSearch(q: string, filters: SearchFilters, enabled: boolean) {
  return useInfiniteQuery({
    queryKey: ["search", q, filters],
    // The signal is read, so a request that nobody waits for any more is given up.
    queryFn: ({ pageParam, signal }) => search(q, filters, pageParam, signal),
    ...byCursor,
    enabled: enabled && q !== "",
    placeholderData: q === "" ? undefined : keepPreviousData,
    staleTime: 10_000,
    // Whoever typed too fast is told so, and not made to wait in silence.
    retry: (failures, error) => failures < 2 && !(error instanceof ProblemError),
    select: ({ pages }) => ({
      matches: unique(pages.flatMap((page) => page.items)),
      corrected: pages[0]?.corrected ?? false,
    }),
  });
}

export function keyOf({ conversation_id, message_id }: Match): string {
  return `${conversation_id}-${message_id ?? "title"}`;
}

/** What moved between two pages is in both. */
function unique(matches: Match[]): Match[] {
  return [...new Map(matches.map((match) => [keyOf(match), match])).values()];
}
