/**
 * Chooses a model, that of the next message or of another answer. Searched by typing, walked by the arrow keys (the
 * combobox pattern of WAI-ARIA, with a list that stays). A model that cannot be used says why.
 */
import { CheckIcon, ChevronDownIcon, SearchIcon } from "lucide-react";
import {
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { Button } from "@/components/ui/button";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import type { Model, Models } from "@/lib/api";
import { cn } from "@/lib/utils";
import { CapabilityIcons, CapabilityLegend } from "./capability-icons";
import { displayName, factsOf, searchModels } from "./models";

interface ModelPickerProps {
  models: Models;
  value: string | null;
  onChange: (id: string) => void;
  /** Time to look again at which models are available. */
  onOpen: () => void;
  /** Takes the focus once a model is chosen: what follows is writing. */
  next?: RefObject<HTMLElement | null>;
  /** What opens it, in place of a button that names the model. */
  children?: ReactNode;
}

export function ModelPicker({ models, value, onChange, onOpen, next, children }: ModelPickerProps) {
  const [open, setOpen] = useState(false);
  const chosen = useRef(false);
  const name = value === null ? null : displayName(models, value);
  return (
    <Popover
      open={open}
      onOpenChange={(next_open) => {
        setOpen(next_open);
        if (next_open) onOpen();
      }}
    >
      <PopoverTrigger asChild>
        {children ?? (
          <Button
            variant="ghost"
            size="sm"
            className="min-w-0 shrink gap-1.5 px-2.5 font-normal"
            aria-label={`Model: ${name ?? "none"}`}
          >
            <span className="truncate">{name ?? "No model"}</span>
            <ChevronDownIcon className="size-3.5!" />
          </Button>
        )}
      </PopoverTrigger>
      <PopoverContent
        align="start"
        side="top"
        aria-label="Choose a model"
        className="flex max-h-[min(32rem,var(--radix-popover-content-available-height))] w-104 max-w-[calc(100vw-1rem)] flex-col"
        onOpenAutoFocus={(event) => {
          // On a touch screen the keyboard would cover the list.
          if (window.matchMedia("(pointer: fine)").matches) return;
          event.preventDefault();
          if (event.currentTarget instanceof HTMLElement) event.currentTarget.focus();
        }}
        onCloseAutoFocus={(event) => {
          if (!chosen.current) return;
          chosen.current = false;
          event.preventDefault();
          next?.current?.focus();
        }}
      >
        <Choice
          items={models.items}
          value={value}
          onChoose={(id) => {
            chosen.current = true;
            setOpen(false);
            onChange(id);
          }}
        />
      </PopoverContent>
    </Popover>
  );
}

interface ChoiceProps {
  items: Model[];
  value: string | null;
  onChoose: (id: string) => void;
}

function Choice({ items, value, onChoose }: ChoiceProps) {
  const id = useId();
  const [search, setSearch] = useState("");
  const [pointed, setPointed] = useState(value);
  const list = useRef<HTMLDivElement>(null);
  const groups = searchModels(items, search);
  const found = groups.flatMap(([, models]) => models);
  const active =
    found.find((model) => model.id === pointed) ?? found.find((model) => model.available);

  // biome-ignore lint/correctness/useExhaustiveDependencies: whichever becomes active is shown.
  useEffect(() => {
    list.current?.querySelector("[data-active]")?.scrollIntoView?.({ block: "nearest" });
  }, [active?.id]);

  const choose = (model: Model | undefined) => {
    if (model?.available) onChoose(model.id);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      choose(active);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || found.length === 0) return;
    event.preventDefault();
    const place = active === undefined ? -1 : found.indexOf(active);
    // One that cannot be used is walked to as well: there is a reason to read.
    setPointed(found.at((Math.max(place, step > 0 ? -1 : 0) + step) % found.length)?.id ?? null);
  };

  return (
    <>
      <div className="flex items-center gap-2.5 border-b px-3.5">
        <SearchIcon className="size-4 shrink-0 text-muted-foreground" />
        <input
          role="combobox"
          aria-label="Search models"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={active && `${id}-${active.id}`}
          aria-autocomplete="list"
          autoComplete="off"
          spellCheck={false}
          placeholder="Search models…"
          value={search}
          onChange={(event) => {
            setSearch(event.target.value);
            setPointed(null);
          }}
          onKeyDown={onKeyDown}
          className="h-11 w-full min-w-0 bg-transparent text-base outline-none placeholder:text-muted-foreground md:text-sm"
        />
      </div>
      <div
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label="Models"
        className="min-h-0 flex-1 overflow-y-auto overscroll-contain p-1"
      >
        {groups.map(([provider, models]) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset is no group of a listbox.
          <div key={provider} role="group" aria-labelledby={`${id}-group-${provider}`}>
            <div
              id={`${id}-group-${provider}`}
              className="px-2.5 pt-2 pb-1 text-xs font-medium text-muted-foreground"
            >
              {provider}
            </div>
            {models.map((model) => (
              <Option
                key={model.id}
                id={`${id}-${model.id}`}
                model={model}
                selected={model.id === value}
                active={model === active}
                onPoint={() => setPointed(model.id)}
                onChoose={() => choose(model)}
              />
            ))}
          </div>
        ))}
      </div>
      {found.length === 0 && (
        <p role="status" className="px-4 pt-4 pb-6 text-center text-sm text-muted-foreground">
          {items.length === 0 ? "No provider is configured." : "No model fits this search."}
        </p>
      )}
      <CapabilityLegend models={items} />
    </>
  );
}

interface OptionProps {
  id: string;
  model: Model;
  selected: boolean;
  active: boolean;
  onPoint: () => void;
  onChoose: () => void;
}

function Option({ id, model, selected, active, onPoint, onChoose }: OptionProps) {
  const facts = factsOf(model);
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the search field keeps the focus.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the search field takes the keys.
    <div
      id={id}
      role="option"
      aria-selected={selected}
      aria-disabled={!model.available}
      aria-labelledby={`${id}-name`}
      aria-describedby={`${id}-about`}
      data-active={active || undefined}
      onPointerMove={onPoint}
      onClick={onChoose}
      className={cn(
        "flex cursor-pointer items-center gap-2 rounded-md px-2.5 py-1.5 text-sm select-none data-active:bg-accent",
        !model.available && "cursor-default",
      )}
    >
      <div className="min-w-0 flex-1">
        <div
          id={`${id}-name`}
          className={cn("truncate", !model.available && "text-muted-foreground")}
        >
          {model.display_name}
        </div>
        <div
          id={`${id}-about`}
          className="flex flex-wrap items-center gap-x-2.5 text-xs text-muted-foreground"
        >
          {!model.available && (
            <span className="w-full">{model.reason ?? "Not available just now."}</span>
          )}
          {facts && <span className="tabular-nums">{facts}</span>}
          <span className="flex items-center gap-1.5">
            <CapabilityIcons capabilities={model.capabilities} />
          </span>
        </div>
      </div>
      <CheckIcon
        className={cn("size-4 shrink-0 text-primary", !selected && "invisible")}
        aria-hidden="true"
      />
    </div>
  );
}
