/**
 * The HTTP API: one typed function an endpoint, fields named as in its JSON.
 * Called by TanStack Query hooks and the chat session. Streams are the transport's business.
 */
import type { TextUIPart } from "ai";
import { withDigest } from "./digest";
import { ProblemError, problemFrom } from "./problem";

export interface Me {
  kind: "guest" | "user";
  id: string;
  email: string | null;
  role: "user" | "admin" | null;
  /** Whether a user can sign in with one; null for a guest. */
  has_password: boolean | null;
  guest_limit: number | null;
  guest_remaining: number | null;
}

export type Capability = "vision" | "documents" | "reasoning" | "tools";

export interface Model {
  id: string;
  provider: string;
  name: string;
  display_name: string;
  /** Tokens; null where it is not known. */
  context_window: number | null;
  output_limit: number | null;
  capabilities: Capability[];
  /** US dollars per million tokens, as decimal text. */
  input_price: string | null;
  output_price: string | null;
  available: boolean;
  reason: string | null;
  default: boolean;
}

export interface Models {
  items: Model[];
  default: string | null;
}

export interface ConversationItem {
  id: string;
  title: string;
  model: string;
  tags: string[];
  pinned: boolean;
  archived: boolean;
  created_at: string;
  updated_at: string;
  deleted_at: string | null;
  active_run_id: string | null;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export type MessageStatus = "complete" | "streaming" | "error" | "cancelled" | "interrupted";

export interface Usage {
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_input_tokens?: number | null;
  reasoning_output_tokens?: number | null;
  usage_estimated?: boolean;
}

/** What a provider wants back with a part in the next turn; the page carries it unread. */
type ProviderMetadata = NonNullable<TextUIPart["providerMetadata"]>;

export type StoredPart =
  | { type: "text"; text: string; providerMetadata?: ProviderMetadata }
  | { type: "reasoning"; text: string; providerMetadata?: ProviderMetadata }
  | { type: "file"; mediaType: string; filename?: string; url: string };

/** What its reader thinks of an answer. */
export interface Feedback {
  rating: "up" | "down";
  note: string | null;
}

export interface StoredMessage {
  id: string;
  parent_id: string | null;
  /** The ids of all messages in its place, itself among them, the oldest first. */
  siblings: string[];
  role: "user" | "assistant";
  status: MessageStatus;
  parts: StoredPart[];
  metadata: Record<string, unknown>;
  created_at: string;
  feedback: Feedback | null;
}

/** How a model is asked in a conversation; null leaves it to the server. */
export interface Parameters {
  max_output_tokens: number | null;
  reasoning_effort: "none" | "low" | "medium" | "high" | null;
  temperature: number | null;
}

export interface Conversation extends ConversationItem {
  system_prompt: string | null;
  parameters: Parameters;
  messages: StoredMessage[];
}

/** Sends a request; an answer that is not ok is thrown as a `ProblemError`. */
export async function request(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, await withDigest({ credentials: "same-origin", ...init }));
  if (!response.ok) throw await problemFrom(response);
  return response;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await request(path, { signal })).json();
}

/** Sends a body as JSON, or none. */
export function send(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
): Promise<Response> {
  return request(path, {
    method,
    headers: body === undefined ? undefined : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

export function post(path: string, body?: unknown): Promise<Response> {
  return send("POST", path, body);
}

/** `?name=value&…` of the parameters that are set, or nothing. */
export function query(
  parameters: Record<string, string | number | boolean | null | undefined>,
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text && `?${text}`;
}

export interface Credentials {
  email: string;
  password: string;
}

export const api = {
  me: (signal?: AbortSignal) => get<Me>("/api/auth/me", signal),
  login: async (credentials: Credentials): Promise<Me> =>
    (await post("/api/auth/login", credentials)).json(),
  register: async (credentials: Credentials): Promise<Me> =>
    (await post("/api/auth/register", credentials)).json(),
  logout: async (): Promise<void> => {
    await post("/api/auth/logout");
  },
  models: (signal?: AbortSignal) => get<Models>("/api/models", signal),
  conversation: (id: string, signal?: AbortSignal) =>
    get<Conversation>(`/api/conversations/${id}`, signal),
  /** Asks a run to stop; resolves to false when nothing was active. */
  stop: async (conversation_id: string, run_id?: string): Promise<boolean> =>
    (await post(`/api/chat/${conversation_id}/stop`, { run_id })).status === 202,
};

/** True for an answer that will not change by asking again. */
export function isFinal(error: unknown): boolean {
  return error instanceof ProblemError && error.status < 500 && error.status !== 429;
}
