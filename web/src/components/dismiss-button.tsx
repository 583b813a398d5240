/** Takes a notice away. */
import { XIcon } from "lucide-react";
import { Button } from "@/components/ui/button";

export function DismissButton({ onClick }: { onClick: () => void }) {
  return (
    <Button variant="ghost" size="icon-xs" aria-label="Dismiss" onClick={onClick}>
      <XIcon />
    </Button>
  );
}
