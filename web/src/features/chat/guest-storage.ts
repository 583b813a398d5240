/**
 * A guest's conversations, in localStorage: one key for the list, one for each branch, so that
 * saving an answer never rewrites the others. Written by `session.ts`, listed by the sidebar.
 * Never leaves this browser; a signed-in user's conversations never come here.
 */
import { createStore } from "@/lib/store";
import type { ChatMessage } from "./messages";

export interface GuestConversation {
  id: string;
  title: string;
  model: string | null;
  created_at: string;
  updated_at: string;
}

const LIST = "tailrace.guest.conversations";
const BRANCH = "tailrace.guest.conversation.";
const LIMIT = 100;
const TITLE_LENGTH = 60;

export const guestConversations = createStore<GuestConversation[]>(readList());

// Another tab of the same guest shares the list.
window.addEventListener("storage", (event) => {
  if (event.key === LIST || event.key === null) guestConversations.set(readList());
});

function readJson<T>(key: string, fallback: T): T {
  try {
    return (JSON.parse(localStorage.getItem(key) ?? "null") as T | null) ?? fallback;
  } catch {
    return fallback;
  }
}

function readList(): GuestConversation[] {
  const list = readJson<unknown>(LIST, []);
  return Array.isArray(list) ? (list as GuestConversation[]) : [];
}

/** The branch of a conversation, or null when this browser does not hold it. */
export function readGuestMessages(id: string): ChatMessage[] | null {
  const messages = readJson<ChatMessage[] | null>(BRANCH + id, null);
  return Array.isArray(messages) ? messages : null;
}

/** Saves a branch and moves its conversation to the top of the list. */
export function saveGuestConversation(
  id: string,
  messages: ChatMessage[],
  model: string | null,
): void {
  const now = new Date().toISOString();
  const list = readList();
  const known = list.find((conversation) => conversation.id === id);
  const conversation: GuestConversation = {
    id,
    title: known?.title ?? titleFrom(messages),
    model,
    created_at: known?.created_at ?? now,
    updated_at: now,
  };
  const next = [conversation, ...list.filter((other) => other.id !== id)];
  for (const dropped of next.splice(LIMIT)) localStorage.removeItem(BRANCH + dropped.id);
  write(BRANCH + id, messages, next);
  write(LIST, next, next);
  guestConversations.set(next);
}

export function renameGuestConversation(id: string, title: string): void {
  const next = readList().map((conversation) =>
    conversation.id === id ? { ...conversation, title } : conversation,
  );
  write(LIST, next, next);
  guestConversations.set(next);
}

/** Writes; when the browser's room is used up, the oldest conversations make way. */
function write(key: string, value: unknown, list: GuestConversation[]): void {
  const text = JSON.stringify(value);
  for (;;) {
    try {
      localStorage.setItem(key, text);
      return;
    } catch {
      const oldest = list.length > 1 ? list.pop() : undefined;
      // What cannot be saved at all is still on the page: chatting goes on.
      if (oldest === undefined) return;
      localStorage.removeItem(BRANCH + oldest.id);
    }
  }
}

export function titleFrom(messages: ChatMessage[]): string {
  const text = messages
    .find((message) => message.role === "user")
    ?.parts.map((part) => (part.type === "text" ? part.text : ""))
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();
  if (!text) return "New chat";
  return text.length <= TITLE_LENGTH ? text : `${text.slice(0, TITLE_LENGTH - 1).trimEnd()}…`;
}
