/** Whether the sign-in dialog is open, and on which side. Any part of the page may open it. */
import { createStore } from "@/lib/store";

export type AuthMode = "login" | "register" | "forgot";

export const authDialog = createStore<AuthMode | null>(null);

export function openAuth(mode: AuthMode): void {
  authDialog.set(mode);
}

export function closeAuth(): void {
  authDialog.set(null);
}
