/** The dialogs about conversations, each loaded when it is first wanted, and the key to search. */
import { lazy, Suspense, useEffect } from "react";
import { useMe } from "@/features/auth/use-me";
import { useStore } from "@/lib/store";
import { toasts } from "@/lib/toasts";
import { closeOverlay, overlay } from "./overlay-state";

const SearchDialog = lazy(async () => ({
  default: (await import("@/features/search/search-dialog")).SearchDialog,
}));
const ShareDialog = lazy(async () => ({
  default: (await import("@/features/sharing/share-dialog")).ShareDialog,
}));
const TagsDialog = lazy(async () => ({ default: (await import("./tags-dialog")).TagsDialog }));

export function ConversationOverlays() {
  const open = useStore(overlay);
  const me = useMe();
  const is_user = me.data?.kind === "user";
  const owner_id = me.data?.id;

  // What one owner was offered to undo, or looks at, is nothing to the next.
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the owner is another one.
  useEffect(() => {
    toasts.set([]);
    closeOverlay();
  }, [owner_id]);

  useEffect(() => {
    if (!is_user) return;
    const onKeyDown = (event: KeyboardEvent) => {
      const is_chord = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
      if (!is_chord || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      if (overlay.get() === null) overlay.set({ kind: "search" });
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [is_user]);

  return (
    <Suspense>
      {open?.kind === "search" && <SearchDialog />}
      {open?.kind === "share" && (
        <ShareDialog key={open.conversation.id} conversation={open.conversation} />
      )}
      {open?.kind === "tags" && (
        <TagsDialog key={open.conversation.id} conversation={open.conversation} />
      )}
    </Suspense>
  );
}
