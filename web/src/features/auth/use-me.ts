/** Who the page is talking for. Everything that differs between guests and users asks here. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { forgetSessions } from "@/features/chat/sessions";
import { api, type Credentials, type Me } from "@/lib/api";
import { keys, queryClient } from "@/lib/query-client";

export function useMe() {
  return useQuery({
    queryKey: keys.me,
    queryFn: ({ signal }) => api.me(signal),
    staleTime: 60_000,
  });
}

export function currentMe(): Me | undefined {
  return queryClient.getQueryData<Me>(keys.me);
}

/** What was loaded for one owner is never shown to the next. */
function changeOwner(me: Me): void {
  forgetSessions();
  queryClient.setQueryData(keys.me, me);
  void queryClient.resetQueries({
    predicate: ({ queryKey }) => queryKey[0] !== keys.me[0] && queryKey[0] !== keys.models[0],
  });
}

export function useSignIn(mode: "login" | "register") {
  return useMutation({
    mutationFn: (credentials: Credentials) => api[mode](credentials),
    onSuccess: changeOwner,
  });
}

export function useSignOut() {
  return useMutation({
    mutationFn: async () => {
      await api.logout();
      return api.me();
    },
    onSuccess: changeOwner,
  });
}
