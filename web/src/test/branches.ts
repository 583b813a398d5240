/** Branches of conversations as the API gives them, for tests. */
import type { Conversation, StoredMessage } from "@/lib/api";
import { conversationWith } from "./conversations";

export function storedWith(
  id: string,
  role: StoredMessage["role"],
  text: string,
  given: Partial<StoredMessage> = {},
): StoredMessage {
  return {
    id,
    parent_id: null,
    siblings: [id],
    role,
    status: "complete",
    parts: [{ type: "text", text }],
    metadata: {},
    created_at: "2026-11-21T00:00:00Z",
    feedback: null,
    ...given,
  };
}

export function branchOf(
  messages: StoredMessage[],
  given: Partial<Conversation> = {},
): Conversation {
  return {
    ...conversationWith("c1"),
    system_prompt: null,
    parameters: { max_output_tokens: null, reasoning_effort: null, temperature: null },
    messages,
    ...given,
  };
}
