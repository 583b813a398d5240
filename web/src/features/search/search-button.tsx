/** Opens the search, and teaches its key. Guests' conversations are not searched: for them, none. */
import { SearchIcon } from "lucide-react";
import { Button } from "@/components/ui/button";
import { useMe } from "@/features/auth/use-me";
import { overlay } from "@/features/conversations/overlay-state";

const IS_MAC = /Mac|iP(hone|ad|od)/.test(navigator.userAgent);

export function SearchButton({ className }: { className?: string }) {
  const me = useMe();
  if (me.data?.kind !== "user") return null;
  return (
    <Button
      variant="ghost"
      className={className}
      aria-keyshortcuts={IS_MAC ? "Meta+K" : "Control+K"}
      onClick={() => overlay.set({ kind: "search" })}
    >
      <SearchIcon />
      <span className="flex-1 text-left">Search</span>
      <span
        aria-hidden="true"
        className="font-sans text-xs text-muted-foreground pointer-coarse:hidden"
      >
        {IS_MAC ? "⌘K" : "Ctrl K"}
      </span>
    </Button>
  );
}
