/** Calls as they come in: the list's live tail, for as long as it is switched on and looked at. */
import { useEffect, useState } from "react";
import { type CallItem, liveUrl } from "./api";

/** Calls that came in live and are held; older ones are in the list itself. */
const MOST = 200;

export type LiveState = "off" | "connecting" | "live" | "broken";

export function useLiveCalls(on: boolean, user_id: string | undefined, onOpen: () => void) {
  const [calls, setCalls] = useState<CallItem[]>([]);
  const [state, setState] = useState<LiveState>("off");
  const [seen, setSeen] = useState(!document.hidden);

  useEffect(() => {
    const look = () => setSeen(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);

  const connects = on && seen;
  useEffect(() => {
    if (!connects) {
      setState("off");
      return;
    }
    setState("connecting");
    setCalls([]);
    const source = new EventSource(liveUrl(user_id));
    source.onopen = () => {
      setState("live");
      // What came in while nobody listened is told by the list alone.
      onOpen();
    };
    // The browser comes back by itself, unless it was refused.
    source.onerror = () =>
      setState(source.readyState === EventSource.CLOSED ? "broken" : "connecting");
    source.addEventListener("call", ({ data }) => {
      const call: CallItem = JSON.parse(data);
      setCalls((before) => [call, ...before].slice(0, MOST));
    });
    return () => source.close();
  }, [connects, user_id, onOpen]);

  return { calls, state };
}

/** The newest first, each once. */
export function merge(live: CallItem[], listed: CallItem[]): CallItem[] {
  const all = new Map([...listed, ...live].map((call) => [call.id, call]));
  return [...all.values()].sort(
    (a, b) => Date.parse(b.started_at) - Date.parse(a.started_at) || b.id.localeCompare(a.id),
  );
}
