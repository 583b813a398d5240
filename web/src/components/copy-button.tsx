/** Copies a text, and says for a moment that it did. Absent where the browser has no clipboard. */
import { CheckIcon, CopyIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/ui/button";
import { Tooltip } from "@/components/ui/tooltip";

export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const [copied, setCopied] = useState(false);

  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1_500);
    return () => clearTimeout(timer);
  }, [copied]);

  // Browsers offer the clipboard on https and localhost alone.
  if (!navigator.clipboard) return null;
  return (
    <Tooltip content={copied ? "Copied" : label} side="bottom">
      <Button
        variant="ghost"
        size="icon-xs"
        aria-label={copied ? "Copied" : label}
        onClick={() => void navigator.clipboard.writeText(text()).then(() => setCopied(true))}
      >
        {copied ? <CheckIcon className="text-success" /> : <CopyIcon />}
      </Button>
    </Tooltip>
  );
}
