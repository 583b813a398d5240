/** The models on offer, which of them a conversation will use, and how they are searched. */
import { useQuery } from "@tanstack/react-query";
import { api, type Capability, type Model, type Models } from "@/lib/api";
import { formatPrice, formatWindow } from "@/lib/format";
import { keys, queryClient } from "@/lib/query-client";
import { remember } from "@/lib/remember";
import { type ReasoningEffort, reasoningEffort } from "./reasoning-effort";

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

/** The effort to send to a model: the one chosen, where the model reasons at all. */
export function currentReasoningEffort(id: string | null): ReasoningEffort | null {
  const models = queryClient.getQueryData<Models>(keys.models);
  return modelOf(models, id)?.capabilities.includes("reasoning") ? reasoningEffort.get() : null;
}

/** The model last chosen in this browser; new conversations begin with it. */
export function lastModel(): string | null {
  return localStorage.getItem(KEY);
}

export function rememberModel(id: string): void {
  remember(KEY, id);
}

export function modelOf(models: Models | undefined, id: string | null): Model | undefined {
  return models?.items.find((model) => model.id === id);
}

/** What people call a model; its id without the provider where it is not on offer any more. */
export function displayName(models: Models | undefined, id: string): string {
  return modelOf(models, id)?.display_name ?? modelName(id);
}

/** `smollm2-135m-instruct` of `local/smollm2-135m-instruct`. */
export function modelName(id: string): string {
  return id.slice(id.indexOf("/") + 1);
}

export const CAPABILITIES: Record<Capability, string> = {
  vision: "Vision",
  documents: "Documents",
  reasoning: "Reasoning",
  tools: "Tools",
};

/** `200K context · $3 in, $15 out per million`: what is known of size and price, if anything. */
export function factsOf(model: Model): string {
  const facts: string[] = [];
  if (model.context_window !== null) facts.push(`${formatWindow(model.context_window)} context`);
  const { input_price, output_price } = model;
  if (input_price !== null && output_price !== null) {
    const is_free = Number(input_price) === 0 && Number(output_price) === 0;
    facts.push(
      is_free
        ? "free"
        : `${formatPrice(input_price)} in, ${formatPrice(output_price)} out per million`,
    );
  }
  return facts.join(" · ");
}

/** The models that every word of a search fits, by provider, in the order of the catalogue. */
export function searchModels(items: Model[], search: string): [provider: string, Model[]][] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, Model[]>();
  for (const model of items) {
    const capabilities = model.capabilities.map((capability) => CAPABILITIES[capability]);
    const about = [model.id, model.display_name, ...capabilities].join(" ").toLowerCase();
    if (!words.every((word) => about.includes(word))) continue;
    groups.set(model.provider, [...(groups.get(model.provider) ?? []), model]);
  }
  return [...groups];
}
