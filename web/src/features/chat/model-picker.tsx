/** Chooses the model of the next message. A model that cannot be used says why. */
import { ChevronDownIcon } from "lucide-react";
import { type RefObject, useRef } from "react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuGroup,
  DropdownMenuLabel,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import type { Model, Models } from "@/lib/api";
import { modelName } from "./models";

interface ModelPickerProps {
  models: Models;
  value: string | null;
  onChange: (id: string) => void;
  /** Takes the focus once a model is chosen: what follows is writing. */
  next: RefObject<HTMLElement | null>;
}

export function ModelPicker({ models, value, onChange, next }: ModelPickerProps) {
  const chosen = useRef(false);
  return (
    <DropdownMenu modal={false}>
      <DropdownMenuTrigger asChild>
        <Button
          variant="ghost"
          size="sm"
          className="min-w-0 shrink gap-1.5 px-2.5 font-normal"
          aria-label={`Model: ${value === null ? "none" : modelName(value)}`}
        >
          <span className="truncate">{value === null ? "No model" : modelName(value)}</span>
          <ChevronDownIcon className="size-3.5!" />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent
        align="start"
        side="top"
        className="w-72 max-w-[calc(100vw-2rem)]"
        onCloseAutoFocus={(event) => {
          if (!chosen.current) return;
          chosen.current = false;
          event.preventDefault();
          next.current?.focus();
        }}
      >
        <DropdownMenuRadioGroup
          value={value ?? ""}
          onValueChange={(id) => {
            chosen.current = true;
            onChange(id);
          }}
        >
          {byProvider(models.items).map(([provider, items]) => (
            <DropdownMenuGroup key={provider}>
              <DropdownMenuLabel>{provider}</DropdownMenuLabel>
              {items.map((model) => (
                <DropdownMenuRadioItem
                  key={model.id}
                  value={model.id}
                  disabled={!model.available}
                  className="flex-col items-start gap-0"
                >
                  <span className="max-w-full truncate">{model.name}</span>
                  {!model.available && (
                    <span className="text-xs text-muted-foreground">
                      {model.reason ?? "Not available just now"}
                    </span>
                  )}
                </DropdownMenuRadioItem>
              ))}
            </DropdownMenuGroup>
          ))}
        </DropdownMenuRadioGroup>
      </DropdownMenuContent>
    </DropdownMenu>
  );
}

function byProvider(items: Model[]): [string, Model[]][] {
  const groups = new Map<string, Model[]>();
  for (const model of items) {
    groups.set(model.provider, [...(groups.get(model.provider) ?? []), model]);
  }
  return [...groups];
}
