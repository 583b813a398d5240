/** Who the page is talking for. Everything that differs between guests and users asks here. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { draftId, forgetSessions, sessionFor, unsentDraft } from "@/features/chat/sessions";
import { api, type Credentials, type Me } from "@/lib/api";
import { keys, queryClient } from "@/lib/query-client";

export function useMe() {
  return useQuery({
    queryKey: keys.me,
    queryFn: ({ signal }) => api.me(signal),
    staleTime: 60_000,
  });
}

/** What was loaded for one owner is never shown to the next. */
function changeOwner(me: Me): void {
  forgetSessions();
  queryClient.setQueryData(keys.me, me);
  void queryClient.resetQueries({
    predicate: ({ queryKey }) => queryKey[0] !== keys.me[0] && queryKey[0] !== keys.models[0],
  });
}

/** Leaves a conversation before its owner does, or the next one would ask for it. */
function useLeave() {
  const navigate = useNavigate();
  return async () => {
    if (window.location.pathname.startsWith("/c/")) await navigate({ to: "/" });
  };
}

export function useSignIn(mode: "login" | "register") {
  const leave = useLeave();
  return useMutation({
    mutationFn: (credentials: Credentials) => api[mode](credentials),
    onSuccess: async (me) => {
      const draft = unsentDraft();
      await leave();
      changeOwner(me);
      if (draft !== null) sessionFor(draftId.get()).setUnsentDraft(draft);
    },
  });
}

export function useSignOut() {
  const leave = useLeave();
  return useMutation({
    mutationFn: async () => {
      await api.logout();
      return api.me();
    },
    onSuccess: async (me) => {
      await leave();
      changeOwner(me);
    },
  });
}
