/** The numbers, read again every few seconds while the page is looked at. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api } from "@/lib/api";
import { keys } from "@/lib/query-client";
import { RANGES, type Range, startOf } from "./range";

const EVERY = 2_000;
// Of days, two seconds make no difference that can be seen.
const LONG_EVERY = 15_000;

export function useOverview(range: Range) {
  return useQuery({
    queryKey: keys.overview(range),
    queryFn: ({ signal }) => {
      const now = new Date();
      return api.overview(startOf(range, now), now, signal);
    },
    refetchInterval: RANGES[range].seconds > RANGES["24h"].seconds ? LONG_EVERY : EVERY,
    placeholderData: keepPreviousData,
  });
}

export function useCalls(range: Range) {
  return useInfiniteQuery({
    queryKey: keys.calls(range),
    queryFn: ({ pageParam, signal }) => api.calls(startOf(range, new Date()), pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    // Someone who reads older calls reads in peace: the list is live while it is at its top.
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 1) > 1 ? false : EVERY),
    refetchOnWindowFocus: ({ state }) => (state.data?.pages.length ?? 1) <= 1,
    placeholderData: keepPreviousData,
  });
}
