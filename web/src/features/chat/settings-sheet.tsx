/** How one conversation is held: its model, its system prompt and what the model is asked with. */
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { Notice } from "@/components/ui/notice";
import { Select } from "@/components/ui/select";
import { Sheet, SheetContent, SheetDescription, SheetTitle } from "@/components/ui/sheet";
import type { Models, Parameters } from "@/lib/api";
import { fieldErrors } from "@/lib/problem";
import type { Settings, SettingsChange, Written } from "./api";
import { searchModels } from "./models";
import { EFFORTS, isEffort } from "./reasoning-effort";
import type { Session } from "./session";

const FIELDS = [
  "model",
  "system_prompt",
  "temperature",
  "max_output_tokens",
  "reasoning_effort",
] as const;

type Name = (typeof FIELDS)[number];
/** What stands in the form. */
export type Form = Record<Name, string>;

interface SettingsSheetProps {
  session: Session;
  settings: Settings;
  /** The model of the conversation. */
  model: string | null;
  models: Models;
  onClose: () => void;
}

export function SettingsSheet({ session, settings, model, models, onClose }: SettingsSheetProps) {
  const [before] = useState(() => formOf(settings, model));
  const [form, setForm] = useState(before);
  const saving = useMutation({
    mutationFn: () => session.changeSettings(changeOf(form, before)),
    onSuccess: onClose,
  });
  const { fields, rest } = fieldErrors(saving.error, FIELDS);
  const set = (name: Name) => (event: { target: { value: string } }) =>
    setForm((form) => ({ ...form, [name]: event.target.value }));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Sheet open onOpenChange={(open) => !open && onClose()}>
      <SheetContent>
        <form onSubmit={submit} noValidate className="flex min-h-0 flex-1 flex-col">
          <div className="space-y-1 border-b px-5 pt-5 pr-12 pb-4">
            <SheetTitle className="text-lg leading-tight font-semibold tracking-tight">
              Settings of this conversation
            </SheetTitle>
            <SheetDescription className="text-sm text-muted-foreground">
              They hold from the next answer on. What is left empty is the model's and the server's
              choice.
            </SheetDescription>
          </div>
          <div className="min-h-0 flex-1 space-y-5 overflow-y-auto px-5 py-5">
            <Field label="Model" error={fields.model}>
              {(control) => (
                <Select {...control} value={form.model} onChange={set("model")} className="w-full">
                  {!models.items.some(({ id }) => id === form.model) && (
                    <option value={form.model}>{form.model || "None"}</option>
                  )}
                  {searchModels(models.items, "").map(([provider, items]) => (
                    <optgroup key={provider} label={provider}>
                      {items.map(({ id, display_name, available }) => (
                        <option key={id} value={id} disabled={!available}>
                          {display_name}
                        </option>
                      ))}
                    </optgroup>
                  ))}
                </Select>
              )}
            </Field>
            <Field
              label="System prompt"
              hint="What the model is told before the conversation."
              error={fields.system_prompt}
            >
              {(control) => (
                <textarea
                  {...control}
                  rows={7}
                  value={form.system_prompt}
                  onChange={set("system_prompt")}
                  className="block w-full resize-y rounded-md border border-input bg-background/40 px-3 py-2 text-base leading-relaxed outline-none focus-visible:border-ring focus-visible:ring-2 focus-visible:ring-ring/40 aria-invalid:border-destructive md:text-sm"
                />
              )}
            </Field>
            <Field
              label="Temperature"
              hint="From 0, the steadiest, to 2, the boldest. Some models take none."
              error={fields.temperature}
            >
              {(control) => (
                <Input
                  {...control}
                  inputMode="decimal"
                  autoComplete="off"
                  placeholder="The model's choice"
                  value={form.temperature}
                  onChange={set("temperature")}
                />
              )}
            </Field>
            <Field
              label="Longest answer"
              hint="In tokens, thinking included."
              error={fields.max_output_tokens}
            >
              {(control) => (
                <Input
                  {...control}
                  inputMode="numeric"
                  autoComplete="off"
                  placeholder="The server's limit"
                  value={form.max_output_tokens}
                  onChange={set("max_output_tokens")}
                />
              )}
            </Field>
            <Field
              label="Reasoning effort"
              hint="For models that reason."
              error={fields.reasoning_effort}
            >
              {(control) => (
                <Select
                  {...control}
                  value={form.reasoning_effort}
                  onChange={set("reasoning_effort")}
                  className="w-full"
                >
                  <option value="">As chosen beside the message</option>
                  {Object.entries(EFFORTS).map(([value, name]) => (
                    <option key={value} value={value}>
                      {name}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            {rest !== null && (
              <Notice tone="destructive" role="alert">
                {rest}
              </Notice>
            )}
          </div>
          <div className="flex justify-end gap-2 border-t px-5 py-4">
            <Button variant="ghost" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" disabled={saving.isPending}>
              {saving.isPending ? "Saving…" : "Save"}
            </Button>
          </div>
        </form>
      </SheetContent>
    </Sheet>
  );
}

interface Control {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string;
}

interface FieldProps {
  label: string;
  hint?: string;
  error?: string;
  children: (control: Control) => ReactNode;
}

function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  return (
    <div className="space-y-1.5">
      <Label htmlFor={id}>{label}</Label>
      {children({ id, "aria-invalid": error !== undefined, "aria-describedby": `${id}-note` })}
      <p id={`${id}-note`} className="text-xs text-muted-foreground">
        {error !== undefined ? (
          <span role="alert" className="text-destructive">
            {error}
          </span>
        ) : (
          hint
        )}
      </p>
    </div>
  );
}

export function formOf({ system_prompt, parameters }: Settings, model: string | null): Form {
  return {
    model: model ?? "",
    system_prompt: system_prompt ?? "",
    temperature: parameters.temperature?.toString() ?? "",
    max_output_tokens: parameters.max_output_tokens?.toString() ?? "",
    reasoning_effort: parameters.reasoning_effort ?? "",
  };
}

/** What differs, as the API takes it: parameters all at once or not at all. */
export function changeOf(form: Form, before: Form): SettingsChange {
  const differs = (name: Name) => form[name] !== before[name];
  const change: SettingsChange = {};
  if (differs("model")) change.model = form.model;
  if (differs("system_prompt")) change.system_prompt = form.system_prompt.trim() || null;
  if (differs("temperature") || differs("max_output_tokens") || differs("reasoning_effort")) {
    const parameters: Written<Parameters> = {
      temperature: numberOf(form.temperature),
      max_output_tokens: numberOf(form.max_output_tokens),
      reasoning_effort: isEffort(form.reasoning_effort) ? form.reasoning_effort : null,
    };
    change.parameters = parameters;
  }
  return change;
}

/** A number, with a comma as well; null for nothing; what is neither as it was written. */
function numberOf(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const number = Number(trimmed.replace(",", "."));
  return Number.isFinite(number) ? number : trimmed;
}
