/** Which dialog about conversations is open, if any. Any part of the page may open one. */
import type { ConversationItem } from "@/lib/api";
import { createStore } from "@/lib/store";

export type Overlay =
  | { kind: "search" }
  | { kind: "share"; conversation: Pick<ConversationItem, "id" | "title"> }
  | { kind: "tags"; conversation: ConversationItem };

export const overlay = createStore<Overlay | null>(null);

export function closeOverlay(): void {
  overlay.set(null);
}
