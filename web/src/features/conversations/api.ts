/** Requests about the list of conversations and what a person arranges in it. */
import { type Conversation, type ConversationItem, get, type Page, query, send } from "@/lib/api";

/** Which conversations: those in use, those put away, those that can be restored. */
export type View = "recent" | "archived" | "deleted";

export interface ListFilter {
  view: View;
  tag: string | null;
}

export type Arrangement = Partial<Pick<ConversationItem, "title" | "pinned" | "archived" | "tags">>;

const PAGE = 40;
// As many as one answer has; somebody with more types the others.
const TAGS = 1_000;
const path = (id: string) => `/api/conversations/${id}`;

/** A conversation as lists have it. */
function itemOf(conversation: Conversation): ConversationItem {
  const { messages: _, system_prompt: __, parameters: ___, ...item } = conversation;
  return item;
}

export const conversationsApi = {
  list: ({ view, tag }: ListFilter, cursor: string | null, signal?: AbortSignal) =>
    get<Page<ConversationItem>>(
      `/api/conversations${query({
        limit: PAGE,
        cursor,
        archived: view === "archived" || null,
        deleted: view === "deleted" || null,
        tag,
      })}`,
      signal,
    ),
  tags: async (signal?: AbortSignal): Promise<string[]> => {
    const page = await get<Page<{ tag: string }>>(`/api/tags${query({ limit: TAGS })}`, signal);
    return page.items.map(({ tag }) => tag);
  },
  change: async (id: string, arrangement: Arrangement): Promise<ConversationItem> =>
    itemOf(await (await send("PATCH", path(id), arrangement)).json()),
  delete: async (id: string): Promise<void> => {
    await send("DELETE", path(id));
  },
  restore: async (id: string): Promise<ConversationItem> =>
    itemOf(await (await send("POST", `${path(id)}/restore`)).json()),
  /** Shows the branch of a message, down to the newest leaf below it. */
  selectBranch: async (id: string, message_id: string): Promise<Conversation> =>
    (await send("PUT", `${path(id)}/active-leaf`, { message_id })).json(),
};
