/**
 * Who the page is talking for. Everything that differs between guests and users asks here, and
 * whoever comes or goes (by a form, the identity provider, another tab, or since the session was
 * revoked) does so in `arrive`.
 */
import { focusManager, queryOptions, useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { guestConversations } from "@/features/chat/guest-storage";
import {
  draftId,
  forgetSessions,
  sessionFor,
  settleSessions,
  type UnsentDraft,
  unsentDraft,
} from "@/features/chat/sessions";
import { api, type Credentials, type Me } from "@/lib/api";
import { newId } from "@/lib/ids";
import { keys, queryClient } from "@/lib/query-client";
import { remember } from "@/lib/remember";
import { importGuestConversations, importState } from "./guest-import";
import { takeKeptDraft } from "./kept-draft";

/** Milliseconds that a guest's answers under way have to end after signing in. */
const PATIENCE = 60_000;

const meQuery = queryOptions({
  queryKey: keys.me,
  queryFn: async ({ signal }) => arrive(await api.me(signal)),
  staleTime: 60_000,
});

export function useMe() {
  return useQuery(meQuery);
}

/** Changes with whoever comes or goes in one tab, for the other tabs to look who is here. */
const OWNER = "tailrace.owner";

window.addEventListener("storage", ({ key }) => {
  if (key === OWNER) void queryClient.invalidateQueries({ queryKey: keys.me });
});

let arriving: { owner: string; welcomed: Promise<Me> } | null = null;

/** Guests of one browser are one owner: what they said is in its storage. */
function ownerOf(me: Me): string {
  return me.kind === "user" ? me.id : "guest";
}

/** Makes the page that of whom the server says it talks to; what a guest said goes along. */
export async function arrive(me: Me): Promise<Me> {
  const known = queryClient.getQueryData<Me>(keys.me);
  const owner = ownerOf(me);
  if (known !== undefined && ownerOf(known) === owner) return me;
  if (arriving?.owner !== owner) {
    const welcomed = welcome(me, known).finally(() => {
      if (arriving?.welcomed === welcomed) arriving = null;
    });
    arriving = { owner, welcomed };
  }
  return arriving.welcomed;
}

async function welcome(me: Me, known: Me | undefined): Promise<Me> {
  const is_known_guest = known?.kind === "guest";
  const held_before = heldHere();
  if (is_known_guest && me.kind === "user") await settle();
  // A draft goes along from guest to user, and comes back when a session has expired.
  const draft = known === undefined ? takeKeptDraft() : unsentDraft();
  forgetSessions();
  if (me.kind === "user") await importGuestConversations({ again: is_known_guest });
  // What was loaded for one owner is never shown to the next.
  queryClient.setQueryData(keys.me, me);
  if (known !== undefined) {
    remember(OWNER, newId());
    void queryClient.resetQueries({
      predicate: ({ queryKey }) => queryKey[0] !== keys.me[0] && queryKey[0] !== keys.models[0],
    });
  }
  if (draft !== null && known?.kind !== me.kind) restore(draft, me, held_before);
  return me;
}

async function settle(): Promise<void> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  importState.set({ phase: "waiting", cut: () => patience.abort() });
  await settleSessions(patience.signal);
  clearTimeout(timer);
}

function heldHere(): Set<string> {
  return new Set(guestConversations.get().map(({ id }) => id));
}

/** Puts a draft back into its conversation if that came along, or else into a new one. */
function restore(draft: UnsentDraft, me: Me, held_before: Set<string>): void {
  const { conversation_id: id } = draft;
  const is_held = heldHere().has(id);
  const is_here = me.kind === "user" ? held_before.has(id) && !is_held : is_held;
  // What was uploaded is the user's alone, who is one no more.
  const attachments = draft.attachments.filter(
    ({ url }) => me.kind === "user" || url?.startsWith("data:"),
  );
  sessionFor(is_here ? id : draftId.get()).setUnsentDraft({ ...draft, attachments });
}

export function useSignIn(mode: "login" | "register") {
  const navigate = useNavigate();
  return useMutation({
    mutationFn: async (credentials: Credentials) => {
      const me = await api[mode](credentials);
      // One that was asked before would tell of the guest.
      await queryClient.cancelQueries({ queryKey: keys.me });
      return arrive(me);
    },
    onSuccess: async () => {
      const path = window.location.pathname;
      const shown = path.match(/^\/c\/([^/]+)/)?.[1];
      // What did not come along cannot be shown; who changed the password is done there.
      if (path === "/reset-password" || (shown !== undefined && heldHere().has(shown))) {
        await navigate({ to: "/" });
      }
    },
  });
}

/** Ends the session by a request that does so, then shows the page of a guest. */
export function useLeave<Variables = void>(end: (variables: Variables) => Promise<void>) {
  const navigate = useNavigate();
  return useMutation({
    mutationFn: async (variables: Variables) => {
      // As in a tab that nobody looks at, nothing is read again: it would soon be refused.
      focusManager.setFocused(false);
      await queryClient.cancelQueries();
      await end(variables);
      await queryClient.cancelQueries({ queryKey: keys.me });
      return api.me();
    },
    onSuccess: async (me) => {
      // Before its owner does, or the next one would ask for what is shown here.
      if (/^\/(c\/|account|admin)/.test(window.location.pathname)) await navigate({ to: "/" });
      forgetSessions();
      await arrive(me);
    },
    onSettled: () => focusManager.setFocused(undefined),
  });
}

export function useSignOut() {
  return useLeave(api.logout);
}
