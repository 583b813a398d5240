/**
 * The sessions of this page, by conversation, and the id of the one that is not sent yet.
 * Called by the chat page and on a change of owner. Ties sessions to the page's caches.
 */
import type { InfiniteData } from "@tanstack/react-query";
import type { ConversationItem, Me, Page } from "@/lib/api";
import { newId } from "@/lib/ids";
import { keys, queryClient } from "@/lib/query-client";
import { createStore } from "@/lib/store";
import { savedElsewhere } from "./guest-storage";
import { currentReasoningEffort, currentUsableModel, lastModel } from "./models";
import { type Draft, Session, type SessionHooks } from "./session";

const sessions = new Map<string, Session>();

/** How many turns ended so far. */
const turns = createStore(0);

/** Id that the next new conversation will have. */
export const draftId = createStore(newId());

const hooks: SessionHooks = {
  isGuest: () => queryClient.getQueryData<Me>(keys.me)?.kind !== "user",
  usableModel: currentUsableModel,
  reasoningEffort: currentReasoningEffort,
  onStarted: (id) => {
    void queryClient.invalidateQueries({ queryKey: keys.conversations });
    // On "/" the chat page moves on to the conversation's own address, and then renews.
    if (window.location.pathname !== "/") renewDraft(id);
  },
  onTitle: (id, title) => {
    queryClient.setQueryData<InfiniteData<Page<ConversationItem>>>(
      keys.conversations,
      (data) => data && { ...data, pages: data.pages.map((page) => withTitle(page, id, title)) },
    );
  },
  onRead: (conversation, turn) => {
    queryClient.setQueryData(keys.conversation(conversation.id), { turn, conversation });
  },
  onBehind: (id) => {
    void queryClient.invalidateQueries({ queryKey: keys.conversation(id) });
  },
  onSettled: (id, lost) => {
    turns.set(turns.get() + 1);
    void queryClient.invalidateQueries({ queryKey: keys.conversations });
    void queryClient.invalidateQueries({ queryKey: keys.me });
    void queryClient.invalidateQueries({
      queryKey: keys.conversation(id),
      refetchType: lost ? "active" : "none",
    });
  },
};

function withTitle(page: Page<ConversationItem>, id: string, title: string) {
  return { ...page, items: page.items.map((item) => (item.id === id ? { ...item, title } : item)) };
}

export function sessionFor(id: string): Session {
  let session = sessions.get(id);
  if (session === undefined) {
    session = new Session(id, hooks, lastModel());
    sessions.set(id, session);
    if (hooks.isGuest()) session.openGuest();
  }
  return session;
}

/** The draft has become a conversation of its own: the next one starts afresh. */
export function renewDraft(id: string): void {
  if (draftId.get() === id) draftId.set(newId());
}

/** What was said as one owner is never shown to the next. */
export function forgetSessions(): void {
  for (const session of sessions.values()) {
    session.holdBack();
    void session.chat.stop();
  }
  sessions.clear();
  draftId.set(newId());
}

/** What is written and not sent, and where. */
export interface UnsentDraft extends Draft {
  conversation_id: string;
}

/** What is written and not sent; it outlives signing in, which a refused message asks for. */
export function unsentDraft(): UnsentDraft | null {
  for (const [conversation_id, { unsentDraft: draft }] of sessions) {
    if (draft.text !== "" || draft.attachments.length > 0) return { ...draft, conversation_id };
  }
  return null;
}

/**
 * Waits for the answers under way. Those that have not ended when `patience` ends are cut: what
 * there is of them stays. A guest's conversations are whole in this browser's storage then.
 */
export async function settleSessions(patience: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = () => {
      const is_busy = [...sessions.values()].some((session) => session.busy);
      if (is_busy && !patience.aborted) return;
      unsubscribe();
      patience.removeEventListener("abort", look);
      resolve();
    };
    const unsubscribe = turns.subscribe(look);
    patience.addEventListener("abort", look);
    look();
  });
  const busy = [...sessions.values()].filter((session) => session.busy);
  await Promise.all(busy.map((session) => session.chat.stop()));
  persistAll();
}

/** Asks the server to stop every answer under way. */
export async function stopSessions(): Promise<void> {
  await Promise.all([...sessions.values()].map((session) => session.stop()));
}

function persistAll(): void {
  for (const session of sessions.values()) session.persist();
}

// Another tab of the same guest goes on with what this one shows.
window.addEventListener("storage", (event) => {
  const id = savedElsewhere(event);
  if (id !== null && hooks.isGuest()) sessions.get(id)?.openGuest();
});

// A reload in mid-answer must find what a guest has of it.
window.addEventListener("pagehide", persistAll);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") persistAll();
});
