/**
 * Brings the message that an address names (`#m-<id>`) into view and marks it for a moment. One
 * on another branch has its branch shown first. Used by the chat view alone.
 */
import { useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { messageElementId } from "./message";
import type { ChatMessage } from "./messages";
import type { Session } from "./session";

/** Milliseconds. */
const MARKED_FOR = 2_500;

/** Returns the id of the message that is marked now. */
export function useMessageHash(
  session: Session,
  messages: ChatMessage[],
  busy: boolean,
  letGo: () => void,
): string | null {
  const { hash, state } = useRouterState({ select: ({ location }) => location });
  const sought = hash.startsWith("m-") ? hash.slice(2) : null;
  // Going to the same message again is going there.
  const visit = `${session.id} ${sought} ${state.__TSR_key}`;
  const [marked, setMarked] = useState<string | null>(null);
  const shown = useRef("");
  const asked = useRef("");

  useEffect(() => {
    if (sought === null || messages.length === 0 || shown.current === visit) return;
    if (messages.some(({ id }) => id === sought)) {
      shown.current = visit;
      letGo();
      document.getElementById(messageElementId(sought))?.scrollIntoView({ block: "start" });
      setMarked(sought);
    } else if (!busy && asked.current !== visit) {
      asked.current = visit;
      void session.select(sought);
    }
  }, [session, messages, busy, sought, visit, letGo]);

  useEffect(() => {
    if (marked === null) return;
    const timer = setTimeout(() => setMarked(null), MARKED_FOR);
    return () => clearTimeout(timer);
  }, [marked]);

  return marked;
}
