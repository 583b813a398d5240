/** Requests about one's own account: password, sessions, keys, usage, deletion. */
import { get, type Page, query, request, send } from "@/lib/api";

export interface SessionItem {
  id: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  user_agent: string | null;
  current: boolean;
}

export const SCOPES = {
  chat: "Chat, follow and stop answers",
  read: "Read, search and export conversations",
  write: "Change conversations",
  metrics: "Read numbers",
  admin: "Do what an administrator may",
} as const;

export type Scope = keyof typeof SCOPES;

export interface KeyItem {
  id: string;
  name: string;
  prefix: string;
  scopes: Scope[];
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
}

export interface NewKey {
  name: string;
  scopes: Scope[];
  expires_at: string | null;
}

/** The answer to making a key, the only one with its secret. */
export interface CreatedKey extends KeyItem {
  key: string;
}

export interface Rate {
  name: string;
  limit: number;
  /** Seconds. */
  window: number;
  remaining: number;
  /** Seconds. */
  reset_after: number;
}

export type QuotaName = "tokens_per_day" | "tokens_per_month" | "usd_per_day" | "usd_per_month";

export interface Quota {
  name: QuotaName;
  /** Tokens as a number, US dollars as decimal text. */
  used: number | string;
  limit: number | string | null;
  /** Given by an admin, in place of the settings. */
  own: boolean;
  resets_at: string;
  /** Calls whose price is unknown, of which `used` tells nothing; of US dollars alone. */
  unpriced_calls: number;
}

export interface UsageOfUser {
  quotas: Quota[];
  pending_tokens: number;
}

export interface Usage extends UsageOfUser {
  /** Null while they cannot be told. */
  rates: Rate[] | null;
}

export const accountKeys = {
  sessions: ["account", "sessions"] as const,
  keys: ["account", "keys"] as const,
  usage: ["account", "usage"] as const,
};

export const accountApi = {
  changePassword: async (body: {
    current_password: string;
    new_password: string;
  }): Promise<void> => {
    await send("PUT", "/api/auth/password", body);
  },
  sessions: (cursor: string | null, signal?: AbortSignal) =>
    get<Page<SessionItem>>(`/api/auth/sessions${query({ cursor })}`, signal),
  endSession: async (id: string): Promise<void> => {
    await request(`/api/auth/sessions/${id}`, { method: "DELETE" });
  },
  keys: (cursor: string | null, signal?: AbortSignal) =>
    get<Page<KeyItem>>(`/api/keys${query({ cursor })}`, signal),
  createKey: async (key: NewKey): Promise<CreatedKey> =>
    (await send("POST", "/api/keys", key)).json(),
  renameKey: async ({ id, name }: { id: string; name: string }): Promise<KeyItem> =>
    (await send("PATCH", `/api/keys/${id}`, { name })).json(),
  revokeKey: async (id: string): Promise<void> => {
    await request(`/api/keys/${id}`, { method: "DELETE" });
  },
  usage: (signal?: AbortSignal) => get<Usage>("/api/usage", signal),
  /** Without a password where the account has none: the sign-in must be of just now then. */
  deleteAccount: async (password: string | null): Promise<void> => {
    await send("DELETE", "/api/auth/me", password === null ? {} : { password });
  },
};
