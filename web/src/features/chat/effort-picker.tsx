/** Chooses how much a reasoning model thinks before it answers. */
import { BrainIcon, ChevronDownIcon } from "lucide-react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuLabel,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import { useStore } from "@/lib/store";
import {
  EFFORTS,
  isEffort,
  type ReasoningEffort,
  reasoningEffort,
  setReasoningEffort,
} from "./reasoning-effort";

const AUTO = "auto";

interface EffortPickerProps {
  /** What was set for this conversation, which then holds in place of the browser's choice. */
  own: ReasoningEffort | null;
  onOpenSettings: () => void;
}

export function EffortPicker({ own, onOpenSettings }: EffortPickerProps) {
  const effort = useStore(reasoningEffort);
  if (own !== null) {
    return (
      <Button
        variant="ghost"
        size="sm"
        className="gap-1.5 px-2.5 font-normal"
        aria-label={`Reasoning effort: ${EFFORTS[own]}, by this conversation's settings`}
        onClick={onOpenSettings}
      >
        <BrainIcon />
        {EFFORTS[own]}
      </Button>
    );
  }
  const label = effort === null ? "Auto" : EFFORTS[effort];
  return (
    <DropdownMenu modal={false}>
      <DropdownMenuTrigger asChild>
        <Button
          variant="ghost"
          size="sm"
          className="gap-1.5 px-2.5 font-normal"
          aria-label={`Reasoning effort: ${label}`}
        >
          <BrainIcon />
          {label}
          <ChevronDownIcon className="hidden size-3.5! sm:block" />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="start" side="top">
        <DropdownMenuLabel>Reasoning effort</DropdownMenuLabel>
        <DropdownMenuRadioGroup
          value={effort ?? AUTO}
          onValueChange={(value) => setReasoningEffort(isEffort(value) ? value : null)}
        >
          <DropdownMenuRadioItem value={AUTO}>Auto</DropdownMenuRadioItem>
          {Object.entries(EFFORTS).map(([value, name]) => (
            <DropdownMenuRadioItem key={value} value={value}>
              {name}
            </DropdownMenuRadioItem>
          ))}
        </DropdownMenuRadioGroup>
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
