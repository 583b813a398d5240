/** The alert rules with their states, for the page and for the badge beside its name. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { sentence } from "@/lib/problem";
import { queryClient } from "@/lib/query-client";
import { tell } from "@/lib/toasts";
import { alertKeys, alertsApi } from "./api";

/** Milliseconds; maintenance evaluates them every minute. */
const EVERY = 10_000;

export function useRules() {
  return useQuery({
    queryKey: alertKeys.rules,
    queryFn: ({ signal }) => alertsApi.rules(signal),
    refetchInterval: EVERY,
  });
}

export function refreshRules() {
  return queryClient.invalidateQueries({ queryKey: ["alerts"] });
}

/** What is done from a menu, which cannot show what went wrong. */
export function useRuleAction<T>(mutationFn: (given: T) => Promise<unknown>) {
  return useMutation({
    mutationFn,
    onSuccess: refreshRules,
    onError: (error) => tell({ text: sentence(error), tone: "destructive" }),
  });
}
