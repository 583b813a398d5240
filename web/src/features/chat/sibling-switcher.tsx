/** Which of several messages in one place is shown: ‹ 2/3 ›. */
import { ChevronLeftIcon, ChevronRightIcon } from "lucide-react";
import { Button } from "@/components/ui/button";

interface SiblingSwitcherProps {
  id: string;
  siblings: string[];
  /** Nothing can be switched to just now. */
  disabled: boolean;
  onSelect: (id: string) => void;
}

export function SiblingSwitcher({ id, siblings, disabled, onSelect }: SiblingSwitcherProps) {
  const index = siblings.indexOf(id);
  if (siblings.length < 2 || index === -1) return null;
  const step = (by: number, label: string) => {
    const other = disabled ? undefined : siblings[index + by];
    const Icon = by < 0 ? ChevronLeftIcon : ChevronRightIcon;
    return (
      // Not disabled in earnest: at the last of them the focus would be lost.
      <Button
        variant="ghost"
        size="icon-xs"
        className="aria-disabled:cursor-default aria-disabled:opacity-45"
        aria-label={label}
        aria-disabled={other === undefined}
        onClick={() => other !== undefined && onSelect(other)}
      >
        <Icon />
      </Button>
    );
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms.
    <div role="group" aria-label="Versions of this message" className="flex items-center">
      {step(-1, "Previous version")}
      <span className="text-xs text-muted-foreground tabular-nums">
        <span className="sr-only">Version </span>
        {index + 1}/{siblings.length}
      </span>
      {step(1, "Next version")}
    </div>
  );
}
