/** Requests of the ways in: what is offered, lost passwords, and a guest's conversations. */
import type { ChatMessage } from "@/features/chat/messages";
import { get, post } from "@/lib/api";

export interface AuthOptions {
  registration: "open" | "closed";
  password_reset: boolean;
  /** What to call the identity provider; null where there is none. */
  oidc: string | null;
}

export interface ToldConversation {
  id: string;
  title: string;
  model: string | null;
  created_at: string;
  updated_at: string;
  messages: (Pick<ChatMessage, "id" | "role" | "metadata"> & { parts: unknown[] })[];
}

export interface Outcome {
  id: string;
  status: "imported" | "updated" | "unchanged" | "refused";
  messages: number;
  /** A sentence, if it was refused. */
  reason: string | null;
}

export interface ImportReport {
  items: Outcome[];
  /** How many files, and other parts of messages, could not be kept. */
  left_out: { files?: number; parts?: number };
}

export const authApi = {
  options: (signal?: AbortSignal) => get<AuthOptions>("/api/auth/options", signal),
  logoutEverywhere: async (): Promise<void> => {
    await post("/api/auth/logout-everywhere");
  },
  /** Asks for a link by mail; the answer is the same whether or not anybody has the address. */
  requestReset: async (email: string): Promise<void> => {
    await post("/api/auth/password-reset", { email });
  },
  confirmReset: async (token: string, password: string): Promise<void> => {
    await post("/api/auth/password-reset/confirm", { token, password });
  },
  importGuest: async (conversations: ToldConversation[]): Promise<ImportReport> =>
    (await post("/api/guests/import", { conversations })).json(),
};

/** Where a browser goes to sign in with the identity provider, and comes back to `next` from. */
export function oidcUrl(next: string): string {
  return `/api/auth/oidc/login?${new URLSearchParams({ next })}`;
}
