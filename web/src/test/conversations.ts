/** Conversations as the API lists them, for tests. */
import type { ConversationItem } from "@/lib/api";

export function conversationWith(
  id: string,
  given: Partial<ConversationItem> = {},
): ConversationItem {
  return {
    id,
    title: `Title of ${id}`,
    model: "scripted/echo",
    tags: [],
    pinned: false,
    archived: false,
    created_at: "2026-11-01T00:00:00Z",
    updated_at: "2026-11-21T00:00:00Z",
    deleted_at: null,
    active_run_id: null,
    ...given,
  };
}
