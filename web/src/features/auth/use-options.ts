/** What this installation offers to whoever wants in, asked for once a minute. */
import { useQuery } from "@tanstack/react-query";
import { authApi } from "./api";

export function useAuthOptions() {
  return useQuery({
    queryKey: ["auth-options"],
    queryFn: ({ signal }) => authApi.options(signal),
    staleTime: 60_000,
  });
}
