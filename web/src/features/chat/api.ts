/** Requests about one conversation: where it stands, its branches, its settings, its ratings. */
import {
  type Conversation,
  type Feedback,
  get,
  type MessageStatus,
  type Parameters,
  send,
} from "@/lib/api";

/** Where the branch that is shown ends; nulls where there is no message, or no run under way. */
export interface Head {
  active_leaf_id: string | null;
  status: MessageStatus | null;
  active_run_id: string | null;
}

/** How much goes when a message is deleted. */
export interface BranchExtent {
  /** The message itself is one of them. */
  messages: number;
  /** How many branches end in them. */
  branches: number;
}

/** How a conversation is held; a system prompt of null is none of its own. */
export interface Settings {
  system_prompt: string | null;
  parameters: Parameters;
}

/** A field that is no number is sent as it was written: the server says what is wrong with it. */
export type Written<T> = { [Name in keyof T]: T[Name] | string };

export interface SettingsChange {
  model?: string;
  system_prompt?: string | null;
  parameters?: Written<Parameters>;
}

export const headKey = (id: string) => ["head", id] as const;

const path = (id: string) => `/api/conversations/${id}`;
const messagePath = (id: string, message_id: string) =>
  `${path(id)}/messages/${encodeURIComponent(message_id)}`;

export const chatApi = {
  head: (id: string, signal?: AbortSignal) => get<Head>(`${path(id)}/head`, signal),
  measureBranch: (id: string, message_id: string, signal?: AbortSignal) =>
    get<BranchExtent>(`${messagePath(id, message_id)}/branch`, signal),
  deleteBranch: async (id: string, message_id: string): Promise<Conversation> =>
    (await send("DELETE", messagePath(id, message_id))).json(),
  changeSettings: async (id: string, change: SettingsChange): Promise<Conversation> =>
    (await send("PATCH", path(id), change)).json(),
  /** Rates an answer in place of an earlier rating; null takes it back. */
  rate: async (id: string, message_id: string, feedback: Feedback | null): Promise<void> => {
    const route = `${messagePath(id, message_id)}/feedback`;
    if (feedback === null) await send("DELETE", route);
    else await send("PUT", route, feedback);
  },
};
