/** Shows the page's toasts. One goes by itself, but not while somebody is about to press it. */
import { useEffect, useState } from "react";
import { DismissButton } from "@/components/dismiss-button";
import { Button } from "@/components/ui/button";
import { useStore } from "@/lib/store";
import { dismissToast, type Toast, toasts } from "@/lib/toasts";
import { cn } from "@/lib/utils";

/** Milliseconds. */
const SHOWN_FOR = 10_000;

export function Toaster() {
  const shown = useStore(toasts);
  return (
    // Stays pressable above a sheet or a dialog, which close the rest of the page off.
    <div
      role="status"
      aria-live="polite"
      aria-label="Messages"
      className="pointer-events-none fixed inset-x-0 bottom-4 z-60 flex flex-col items-center gap-2 px-4"
    >
      {shown.map((toast) => (
        <Item key={toast.id} toast={toast} />
      ))}
    </div>
  );
}

function Item({ toast }: { toast: Toast }) {
  const [held, setHeld] = useState(false);
  const { id, text, tone, action } = toast;

  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => dismissToast(id), SHOWN_FOR);
    return () => clearTimeout(timer);
  }, [held, id]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: being looked at is no act of its own.
    <div
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
      className={cn(
        "pointer-events-auto flex max-w-full animate-in items-center gap-2 rounded-lg border bg-popover py-1.5 pr-1.5 pl-4 text-sm text-popover-foreground shadow-xl fade-in-0 slide-in-from-bottom-2",
        tone === "destructive" && "border-destructive/40",
      )}
    >
      <span className="min-w-0 py-1 break-words">{text}</span>
      {action && (
        <Button
          size="xs"
          variant="secondary"
          onClick={() => {
            dismissToast(id);
            action.run();
          }}
        >
          {action.label}
        </Button>
      )}
      <DismissButton onClick={() => dismissToast(id)} />
    </div>
  );
}
