/** TanStack Query's cache, one for the page, and its keys, so that nobody spells one twice. */
import { QueryClient } from "@tanstack/react-query";
import { isFinal } from "./api";

export const keys = {
  me: ["me"] as const,
  models: ["models"] as const,
  conversations: ["conversations"] as const,
  conversation: (id: string) => ["conversation", id] as const,
  overview: (range: string) => ["overview", range] as const,
  calls: (range: string) => ["calls", range] as const,
};

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 3 && !isFinal(error),
      retryDelay: (attempt) => Math.min(4_000, 500 * 2 ** attempt),
    },
  },
});
