/**
 * Gives the focus back to where it was before a dialog opened: Radix does so for a dialog's own
 * trigger alone, and most of ours are opened by something else.
 */
import { useRef } from "react";

export function useFocusReturn() {
  const before = useRef<Element>(null);
  return {
    onOpenAutoFocus: () => {
      before.current = document.activeElement;
    },
    onCloseAutoFocus: (event: Event) => {
      const element = before.current;
      if (!(element instanceof HTMLElement) || !element.isConnected) return;
      event.preventDefault();
      element.focus();
    },
  };
}
