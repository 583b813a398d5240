/** TanStack Query's cache, one for the page, and its keys, so that nobody spells one twice. */
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { isFinal } from "./api";
import { ProblemError } from "./problem";

export const keys = {
  me: ["me"] as const,
  models: ["models"] as const,
  conversations: ["conversations"] as const,
  tags: ["tags"] as const,
  conversation: (id: string) => ["conversation", id] as const,
};

/** A session that was ended elsewhere shows by the first answer that asks to sign in. */
function onError(error: unknown): void {
  if (!(error instanceof ProblemError) || error.status !== 401) return;
  void queryClient.invalidateQueries({ queryKey: keys.me });
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 3 && !isFinal(error),
      retryDelay: (attempt) => Math.min(4_000, 500 * 2 ** attempt),
    },
  },
});

/** What an infinite query over one of the API's lists has in common with every other. */
export const byCursor = {
  initialPageParam: null as string | null,
  getNextPageParam: (page: { next_cursor: string | null }) => page.next_cursor,
};
