/** Short messages over the page: what just happened and cannot be seen, and a way to take it back. */
import { newId } from "./ids";
import { createStore } from "./store";

export interface Toast {
  id: string;
  text: string;
  tone?: "neutral" | "destructive";
  action?: { label: string; run: () => void };
}

const MOST = 3;

export const toasts = createStore<Toast[]>([]);

export function tell(toast: Omit<Toast, "id">): void {
  toasts.set([...toasts.get(), { ...toast, id: newId() }].slice(-MOST));
}

export function dismissToast(id: string): void {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}
