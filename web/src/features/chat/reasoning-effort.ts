/** How much a model is asked to think before it answers. Remembered in this browser. */
import { remember } from "@/lib/remember";
import { createStore } from "@/lib/store";

export const EFFORTS = {
  none: "Off",
  low: "Low",
  medium: "Medium",
  high: "High",
} as const;

export type ReasoningEffort = keyof typeof EFFORTS;

const KEY = "tailrace.reasoning_effort";

/** Null leaves it to the model. */
export const reasoningEffort = createStore<ReasoningEffort | null>(stored());

function stored(): ReasoningEffort | null {
  const value = localStorage.getItem(KEY);
  return isEffort(value) ? value : null;
}

export function isEffort(value: unknown): value is ReasoningEffort {
  return typeof value === "string" && Object.hasOwn(EFFORTS, value);
}

export function setReasoningEffort(effort: ReasoningEffort | null): void {
  remember(KEY, effort);
  reasoningEffort.set(effort);
}
