/** The models on offer, and which of them a conversation will use. */
import { useQuery } from "@tanstack/react-query";
import { api, type Models } from "@/lib/api";
import { keys, queryClient } from "@/lib/query-client";

const KEY = "tailrace.model";

export function useModels() {
  return useQuery({
    queryKey: keys.models,
    queryFn: ({ signal }) => api.models(signal),
    staleTime: 60_000,
  });
}

/** The preferred model where it can be used, else the default, else any that works. */
export function usableModel(models: Models | undefined, preferred: string | null): string | null {
  const usable = models?.items.filter((model) => model.available) ?? [];
  const find = (id: string | null | undefined) => usable.find((model) => model.id === id);
  return (find(preferred) ?? find(models?.default) ?? usable[0])?.id ?? null;
}

/** `usableModel` of what is loaded now, for code outside of components. */
export function currentUsableModel(preferred: string | null): string | null {
  return usableModel(queryClient.getQueryData<Models>(keys.models), preferred);
}

/** The model last chosen in this browser; new conversations begin with it. */
export function lastModel(): string | null {
  return localStorage.getItem(KEY);
}

export function rememberModel(id: string): void {
  localStorage.setItem(KEY, id);
}

/** `smollm2-135m-instruct` of `local/smollm2-135m-instruct`. */
export function modelName(id: string): string {
  return id.slice(id.indexOf("/") + 1);
}
