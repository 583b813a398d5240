/** The numbers, read again every few seconds while the page is looked at. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { byCursor, queryClient } from "@/lib/query-client";
import { createStore, useStore } from "@/lib/store";
import { numbersApi, type View } from "./api";
import { type Chosen, refreshEvery, spanOf } from "./range";
import { filtersOf, listFiltersOf, type NumbersSearch } from "./search";

const ALL = ["numbers"] as const;

/** Whether the page reads its numbers again by itself. Not in a tab that nobody sees, either way. */
export const refreshes = createStore(true);

/** Milliseconds between two looks at what can be chosen: that changes less often. */
const CHOICES_EVERY = 30_000;

export function refreshNow(): void {
  void queryClient.invalidateQueries({ queryKey: ALL });
}

function chosenOf({ range, from, to }: NumbersSearch): Chosen {
  return { range, from, to };
}

/** One view of what an address names. */
export function useView<V extends View>(view: V, search: NumbersSearch) {
  const refreshing = useStore(refreshes);
  const chosen = chosenOf(search);
  const only = filtersOf(search);
  return useQuery({
    queryKey: [...ALL, view, chosen, only],
    queryFn: ({ signal }) => numbersApi.view(view, spanOf(chosen, new Date()), only, signal),
    refetchInterval: refreshing && refreshEvery(chosen),
    refetchOnWindowFocus: refreshing,
    placeholderData: keepPreviousData,
  });
}

/** What a filter can be set to: what there was in the range, whatever else is filtered. */
export function useChoices(by: "model" | "user", search: NumbersSearch, enabled = true) {
  const refreshing = useStore(refreshes);
  const chosen = chosenOf(search);
  return useQuery({
    queryKey: [...ALL, "choices", by, chosen],
    queryFn: ({ signal }) =>
      numbersApi.view({ name: "breakdown", by }, spanOf(chosen, new Date()), {}, signal),
    refetchInterval: refreshing && refreshEvery(chosen) !== false && CHOICES_EVERY,
    staleTime: CHOICES_EVERY,
    placeholderData: keepPreviousData,
    enabled,
  });
}

function callsKey(search: NumbersSearch) {
  return [...ALL, "calls", chosenOf(search), filtersOf(search), listFiltersOf(search)];
}

export function useCalls(search: NumbersSearch, live: boolean) {
  const refreshing = useStore(refreshes);
  const chosen = chosenOf(search);
  const only = { ...filtersOf(search), ...listFiltersOf(search) };
  // Someone who reads older calls reads in peace: the list refreshes while it is at its top.
  const isAtTop = ({ state }: { state: { data?: { pages: unknown[] } } }) =>
    (state.data?.pages.length ?? 1) <= 1;
  return useInfiniteQuery({
    queryKey: callsKey(search),
    queryFn: ({ pageParam, signal }) =>
      numbersApi.calls(spanOf(chosen, new Date()), only, pageParam, signal),
    ...byCursor,
    refetchInterval: (query) => refreshing && !live && isAtTop(query) && refreshEvery(chosen),
    refetchOnWindowFocus: (query) => refreshing && isAtTop(query),
    placeholderData: keepPreviousData,
  });
}

/** Reads the first page of the list anew, and forgets the others. */
export function backToNewest(search: NumbersSearch): void {
  void queryClient.resetQueries({ queryKey: callsKey(search) });
}

export function useCall(id: string) {
  return useQuery({
    queryKey: [...ALL, "call", id],
    queryFn: ({ signal }) => numbersApi.call(id, signal),
    // A call that has ended does not change.
    staleTime: Number.POSITIVE_INFINITY,
  });
}
