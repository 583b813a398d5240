/**
 * A guest's conversations, in localStorage: one key for the list, one for each branch, so that
 * saving an answer never rewrites the others. Written by `session.ts`, listed by the sidebar.
 * Leaves this browser only for the account that its guest signs in to (`features/auth/guest-import`);
 * a signed-in user's conversations never come here.
 */
import { createStore } from "@/lib/store";
import { type ChatMessage, filesOf, withoutFileData } from "./messages";

export interface GuestConversation {
  id: string;
  title: string;
  model: string | null;
  created_at: string;
  updated_at: string;
  /** Why an account did not take it over, until something is said in it again. */
  refused?: string;
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

/** The conversation whose branch another tab has saved; null for any other change. */
export function savedElsewhere({ key, newValue }: StorageEvent): string | null {
  return key?.startsWith(BRANCH) && newValue !== null ? key.slice(BRANCH.length) : null;
}

/** What a save could keep: everything, all but what some files hold, or not even the words. */
export type Kept = "all" | "without-files" | "nothing";

/** Saves a branch and moves its conversation to the top of the list. */
export function saveGuestConversation(
  id: string,
  messages: ChatMessage[],
  model: string | null,
): Kept {
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
  const kept = writeBranch(id, messages, next);
  write(LIST, next, next);
  guestConversations.set(next);
  return kept;
}

export function renameGuestConversation(id: string, title: string): void {
  changeListed(id, { title });
}

/** Notes that an account did not take a conversation over, so that it is not offered every time. */
export function noteRefusal(id: string, reason: string): void {
  changeListed(id, { refused: reason });
}

/** Forgets a conversation that is kept elsewhere now, unless it is not what was read any more. */
export function forgetGuestConversation(id: string, read: ChatMessage[]): void {
  if (JSON.stringify(readGuestMessages(id)) !== JSON.stringify(read)) return;
  const next = readList().filter((conversation) => conversation.id !== id);
  localStorage.removeItem(BRANCH + id);
  write(LIST, next, next);
  guestConversations.set(next);
}

function changeListed(id: string, change: Partial<GuestConversation>): void {
  const next = readList().map((conversation) =>
    conversation.id === id ? { ...conversation, ...change } : conversation,
  );
  write(LIST, next, next);
  guestConversations.set(next);
}

/**
 * Writes a branch. One file takes the room of a thousand messages, so files make way before words
 * do: those of other conversations, the oldest first, then this one's own.
 */
function writeBranch(id: string, messages: ChatMessage[], list: GuestConversation[]): Kept {
  const key = BRANCH + id;
  if (tryWrite(key, messages)) return "all";
  let is_whole = true;
  for (const other of list.slice(1).reverse()) {
    if (!dropFileData(other.id)) continue;
    is_whole = false;
    if (tryWrite(key, messages)) return "without-files";
  }
  is_whole &&= messages.every((message) => filesOf(message).length === 0);
  if (!write(key, withoutFileData(messages), list)) return "nothing";
  return is_whole ? "all" : "without-files";
}

/** Forgets what a conversation's files hold; false when there was nothing to forget. */
function dropFileData(id: string): boolean {
  const messages = readGuestMessages(id) ?? [];
  const has_data = messages.some((message) => filesOf(message).some(({ url }) => url !== ""));
  return has_data && tryWrite(BRANCH + id, withoutFileData(messages));
}

function tryWrite(key: string, value: unknown): boolean {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** Writes; when the browser's room is used up, the oldest conversations make way. */
function write(key: string, value: unknown, list: GuestConversation[]): boolean {
  while (!tryWrite(key, value)) {
    const oldest = list.length > 1 ? list.pop() : undefined;
    // What cannot be saved at all is still on the page: chatting goes on.
    if (oldest === undefined) return false;
    localStorage.removeItem(BRANCH + oldest.id);
  }
  return true;
}

export function titleFrom(messages: ChatMessage[]): string {
  const first = messages.find((message) => message.role === "user");
  const text =
    first?.parts
      .map((part) => (part.type === "text" ? part.text : ""))
      .join(" ")
      .replace(/\s+/g, " ")
      .trim() || first?.parts.find((part) => part.type === "file")?.filename;
  if (!text) return "New chat";
  return text.length <= TITLE_LENGTH ? text : `${text.slice(0, TITLE_LENGTH - 1).trimEnd()}…`;
}
