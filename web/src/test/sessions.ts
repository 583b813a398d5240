/** Hooks of a session that are watched, for tests. */
import { vi } from "vitest";
import type { SessionHooks } from "@/features/chat/session";

/** A user's, who has a model, if nothing else is given. */
export function hooksWith(given: Partial<SessionHooks> = {}) {
  return {
    isGuest: () => false,
    usableModel: (preferred: string | null) => preferred ?? "scripted/echo",
    reasoningEffort: () => null,
    onStarted: vi.fn(),
    onTitle: vi.fn(),
    onRead: vi.fn(),
    onBehind: vi.fn(),
    onSettled: vi.fn(),
    ...given,
  };
}
