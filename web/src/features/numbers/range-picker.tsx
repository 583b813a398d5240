/** Which span of time the page shows: one that ends now, or one between two moments. */
import { CalendarRangeIcon } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button } from "@/components/ui/button";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import { ToggleGroup, ToggleGroupItem } from "@/components/ui/toggle-group";
import { Field } from "@/features/auth/form";
import { TIME_ZONE } from "./api";
import { type Chosen, isPreset, problemOf, RANGES, type Span, spanOf, toField } from "./range";

interface RangePickerProps {
  chosen: Chosen;
  onChange: (chosen: Chosen) => void;
}

export function RangePicker({ chosen, onChange }: RangePickerProps) {
  return (
    <div className="flex max-w-full min-w-0 items-center gap-1.5">
      <div className="max-w-full min-w-0 overflow-x-auto rounded-lg">
        <ToggleGroup
          type="single"
          value={chosen.range}
          aria-label="Time range"
          onValueChange={(range) => {
            // Pressing the current range again must not choose none.
            if (isPreset(range)) onChange({ range });
          }}
        >
          {Object.entries(RANGES).map(([value, { label }]) => (
            <ToggleGroupItem key={value} value={value} className="px-2 sm:px-3">
              {label}
            </ToggleGroupItem>
          ))}
        </ToggleGroup>
      </div>
      <CustomRange chosen={chosen} onChange={onChange} />
    </div>
  );
}

/** A span as an address names it. */
export function customOf({ from, to }: Span): Chosen {
  return { range: "custom", from: from.toISOString(), to: to.toISOString() };
}

function CustomRange({ chosen, onChange }: RangePickerProps) {
  const [open, setOpen] = useState(false);
  const is_custom = chosen.range === "custom";
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger asChild>
        <Button
          variant={is_custom ? "secondary" : "outline"}
          size="sm"
          aria-label="Custom range"
          className="px-2.5"
        >
          <CalendarRangeIcon />
          <span className="hidden sm:inline">Custom</span>
        </Button>
      </PopoverTrigger>
      <PopoverContent align="end" className="w-72 p-4" aria-label="Custom range">
        <RangeForm
          span={spanOf(chosen, new Date())}
          onChoose={(span) => {
            setOpen(false);
            onChange(customOf(span));
          }}
        />
      </PopoverContent>
    </Popover>
  );
}

function RangeForm({ span, onChoose }: { span: Span; onChoose: (span: Span) => void }) {
  const [problem, setProblem] = useState<ReturnType<typeof problemOf>>(null);
  const [shown] = useState({ from: toField(span.from), to: toField(span.to) });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const given = {
      from: new Date(String(form.get("from"))),
      to: new Date(String(form.get("to"))),
    };
    const found = problemOf(given);
    setProblem(found);
    if (found === null) onChoose(given);
  };
  const errorOf = (field: "from" | "to") => (problem?.field === field ? problem.detail : undefined);
  return (
    <form className="space-y-3" onSubmit={submit} noValidate>
      <Field
        name="from"
        label="From"
        type="datetime-local"
        defaultValue={shown.from}
        error={errorOf("from")}
      />
      <Field
        name="to"
        label="To"
        type="datetime-local"
        defaultValue={shown.to}
        error={errorOf("to")}
      />
      <p className="text-xs text-muted-foreground">Times are those of {TIME_ZONE}.</p>
      <Button type="submit" size="sm" className="w-full">
        Show
      </Button>
    </form>
  );
}
