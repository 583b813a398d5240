/** Why something that was asked for did not happen: in words, and what can be done about it. */
import { ProblemError, sentence } from "@/lib/problem";

export interface Failure {
  detail: string;
  /** What else is worth knowing, as whom a limit holds for. */
  hint: string | null;
  action: "sign-in" | "none";
  /** Milliseconds of the clock at which it may succeed; null where waiting does not help. */
  retry_at: number | null;
}

// By the title of the problem, which is the same for every occurrence.
const HINTS: Record<string, string> = {
  "Quota reached": "This is your own quota; an admin can raise it.",
  "Budget reached": "This holds for everybody who chats here.",
};

export function failure(detail: string): Failure {
  return { detail, hint: null, action: "none", retry_at: null };
}

export function failureOf(error: unknown, is_guest: boolean): Failure {
  if (!(error instanceof ProblemError)) return failure(sentence(error));
  const { status, title, retry_after } = error;
  // Another account has the same budget.
  const helps = status === 401 || (status === 429 && title !== "Budget reached");
  const waits = status === 429 && retry_after !== null;
  return {
    detail: sentence(error),
    hint: is_guest && title !== "Budget reached" ? null : (HINTS[title] ?? null),
    action: is_guest && helps ? "sign-in" : "none",
    retry_at: waits ? Date.now() + retry_after * 1000 : null,
  };
}
