/** Notices what another tab or device did with a conversation: looks again while it is shown. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { isFinal } from "@/lib/api";
import { chatApi, headKey } from "./api";
import type { Session } from "./session";

/** Milliseconds between two looks; a page that is hidden does not look. */
const EVERY = 4_000;

export function useHead(session: Session, enabled: boolean): void {
  const { data, dataUpdatedAt } = useQuery({
    queryKey: headKey(session.id),
    queryFn: async ({ signal }) => {
      const { turn } = session;
      return { turn, head: await chatApi.head(session.id, signal) };
    },
    enabled,
    // One that was deleted meanwhile does not come back by being asked for.
    refetchInterval: ({ state }) => (isFinal(state.error) ? false : EVERY),
    refetchOnWindowFocus: "always",
    // The next look is soon enough.
    retry: false,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same answer again is news as well.
  useEffect(() => {
    if (enabled && data !== undefined) session.compare(data.head, data.turn);
  }, [session, data, dataUpdatedAt, enabled]);
}
