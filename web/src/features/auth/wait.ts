/** How long somebody is to wait who tried too often: counted down where the refusal is shown. */
import { useEffect, useState } from "react";
import { plural } from "@/lib/format";
import { ProblemError } from "@/lib/problem";

/** `45 seconds`, `3 minutes`, `2 hours`: rounded up, so that nobody comes too early. */
export function formatWait(seconds: number): string {
  if (seconds < 90) return plural(Math.ceil(seconds), "second");
  if (seconds < 90 * 60) return plural(Math.ceil(seconds / 60), "minute");
  return plural(Math.ceil(seconds / 3600), "hour");
}

/** Seconds until `error` asks to be tried again, counted from when it came; 0 when now is fine. */
export function useWait(error: unknown): number {
  const wait = error instanceof ProblemError ? (error.retry_after ?? 0) : 0;
  const [left, setLeft] = useState(wait);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another error counts from its own time.
  useEffect(() => {
    setLeft(wait);
    if (wait === 0) return;
    const until = Date.now() + wait * 1000;
    const timer = setInterval(() => {
      const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      setLeft(seconds);
      if (seconds === 0) clearInterval(timer);
    }, 1000);
    return () => clearInterval(timer);
  }, [error, wait]);
  return left;
}
