/**
 * What is written and not sent, kept while the browser is away at the identity provider.
 * In the tab's own storage: nobody else finds it there, and it is gone once it is read.
 */
import type { UnsentDraft } from "@/features/chat/sessions";

const KEY = "tailrace.draft";

export function keepDraft(draft: UnsentDraft | null): void {
  if (draft === null) return;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // Words count more than files, which may be too large for it.
    const words = JSON.stringify({ ...draft, attachments: [] });
    try {
      sessionStorage.setItem(KEY, words);
    } catch {
      // Nothing can be kept in this browser.
    }
  }
}

export function takeKeptDraft(): UnsentDraft | null {
  const kept = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  try {
    const draft = JSON.parse(kept ?? "null") as UnsentDraft | null;
    return typeof draft?.text === "string" && Array.isArray(draft.attachments) ? draft : null;
  } catch {
    return null;
  }
}
