/** Requests about links: made and revoked by their owner, followed by anybody. */
import { get, type MessageStatus, type Page, post, query, type StoredPart, send } from "@/lib/api";

export interface NewShare {
  /** RFC 3339; null for never. */
  expires_at: string | null;
  show_name: boolean;
  /** Shown with `show_name` alone; without it, what stands before the @ of the address is. */
  name?: string;
}

/** A link; `token_hint` is the beginning of its token. */
export interface Share {
  id: string;
  token_hint: string;
  title: string;
  messages: number;
  shown_name: string | null;
  created_at: string;
  expires_at: string | null;
}

/** A new link: the only time that its path is told. */
export interface CreatedShare extends Share {
  token: string;
  path: string;
}

export interface SharedMessage {
  id: string;
  role: "user" | "assistant";
  status: MessageStatus;
  model: string | null;
  parts: StoredPart[];
}

/** A branch of somebody's conversation, as it was when it was shared. */
export interface SharedConversation {
  title: string;
  shared_by: string | null;
  created_at: string;
  expires_at: string | null;
  messages: SharedMessage[];
}

const path = (conversation_id: string) => `/api/conversations/${conversation_id}/shares`;

export const sharesApi = {
  create: async (conversation_id: string, share: NewShare): Promise<CreatedShare> =>
    (await post(path(conversation_id), share)).json(),
  list: (conversation_id: string, cursor: string | null, signal?: AbortSignal) =>
    get<Page<Share>>(`${path(conversation_id)}${query({ limit: 50, cursor })}`, signal),
  revoke: async (conversation_id: string, share_id: string): Promise<void> => {
    await send("DELETE", `${path(conversation_id)}/${share_id}`);
  },
  revokeAll: async (conversation_id: string): Promise<void> => {
    await send("DELETE", path(conversation_id));
  },
  read: (token: string, signal?: AbortSignal) =>
    get<SharedConversation>(`/api/shared/${encodeURIComponent(token)}`, signal),
};
