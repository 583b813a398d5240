/** Making an alert rule, and changing one. */
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Label } from "@/components/ui/label";
import { Select } from "@/components/ui/select";
import { Field, FieldNote, FormProblem, SubmitButton } from "@/features/auth/form";
import { fieldErrors } from "@/lib/problem";
import { alertsApi, type Rule, type RuleKind, type Severity } from "./api";
import {
  type Draft,
  draftOf,
  fieldsOf,
  formatSpan,
  KINDS,
  NEW,
  problemOf,
  SEVERITIES,
} from "./rules";
import { refreshRules } from "./use-rules";

const FIELDS = [
  "name",
  "kind",
  "resolve_threshold",
  "threshold",
  "window",
  "for_seconds",
  "minimum_calls",
  "severity",
  "provider_name",
  "request_model",
] as const;
const WINDOWS = [60, 300, 900, 3600, 21_600, 86_400];
const LASTING = [0, 60, 300, 900, 3600];

interface RuleDialogProps {
  /** The rule to change; null makes one. */
  rule: Rule | null;
  onClose: () => void;
}

export function RuleDialog({ rule, onClose }: RuleDialogProps) {
  const [draft, setDraft] = useState(() => (rule === null ? NEW : draftOf(rule)));
  const save = useMutation({
    mutationFn: async () => {
      const problem = problemOf(draft);
      if (problem !== null) throw problem;
      const { kind, ...fields } = fieldsOf(draft);
      if (rule === null) return alertsApi.create({ kind, ...fields, enabled: true });
      return alertsApi.change({ id: rule.id, change: fields });
    },
    onSuccess: () => {
      void refreshRules();
      onClose();
    },
  });
  const { fields, rest } = fieldErrors(save.error, FIELDS);
  const { unit, of_calls, windowed, about } = KINDS[draft.kind];
  const change = (more: Partial<Draft>) => setDraft({ ...draft, ...more });
  const text = (name: keyof Draft) => ({
    name,
    value: draft[name],
    error: fields[name],
    autoComplete: "off",
    onChange: ({ currentTarget }: { currentTarget: HTMLInputElement }) =>
      change({ [name]: currentTarget.value }),
  });

  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent className="max-w-lg">
        <form
          className="space-y-4"
          noValidate
          onSubmit={(event: FormEvent) => {
            event.preventDefault();
            save.mutate();
          }}
        >
          <div className="space-y-1.5 pr-6">
            <DialogTitle>{rule === null ? "New alert rule" : "Change the rule"}</DialogTitle>
            <DialogDescription>{about}</DialogDescription>
          </div>
          <FormProblem error={save.error} detail={rest} />
          <Field label="Name" maxLength={100} {...text("name")} />
          <Choice
            label="It looks at"
            value={draft.kind}
            // What a rule is about stays.
            disabled={rule !== null}
            error={fields.kind}
            onChange={(kind) => change({ kind: kind as RuleKind })}
          >
            {Object.entries(KINDS).map(([kind, { label }]) => (
              <option key={kind} value={kind}>
                {label}
              </option>
            ))}
          </Choice>
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label={`Fires at (${unit})`} inputMode="decimal" {...text("threshold")} />
            <Field
              label={`Ends below (${unit})`}
              inputMode="decimal"
              placeholder="the same"
              {...text("resolve_threshold")}
            />
            {windowed && (
              <SpanChoice
                label="Within the last"
                value={draft.window}
                values={WINDOWS}
                error={fields.window}
                onChange={(window) => change({ window })}
              />
            )}
            <SpanChoice
              label="Once it has lasted"
              value={draft.for_seconds}
              values={LASTING}
              error={fields.for_seconds}
              onChange={(for_seconds) => change({ for_seconds })}
            />
            {of_calls && (
              <>
                <Field
                  label="At least so many calls"
                  inputMode="numeric"
                  {...text("minimum_calls")}
                />
                <Field label="Provider" placeholder="all" {...text("provider_name")} />
                <Field label="Model" placeholder="all" {...text("request_model")} />
              </>
            )}
            <Choice
              label="Severity"
              value={draft.severity}
              error={fields.severity}
              onChange={(severity) => change({ severity: severity as Severity })}
            >
              {SEVERITIES.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </Choice>
          </div>
          <div className="flex justify-end gap-2">
            <Button variant="ghost" onClick={onClose}>
              Cancel
            </Button>
            <SubmitButton pending={save.isPending} error={save.error}>
              {rule === null ? "Make the rule" : "Save"}
            </SubmitButton>
          </div>
        </form>
      </DialogContent>
    </Dialog>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  disabled?: boolean;
  error?: string;
  onChange: (value: string) => void;
  children: ReactNode;
}

function Choice({ label, value, disabled, error, onChange, children }: ChoiceProps) {
  const id = useId();
  return (
    <div className="space-y-1.5">
      <Label htmlFor={id}>{label}</Label>
      <Select
        id={id}
        value={value}
        disabled={disabled}
        aria-invalid={error !== undefined}
        aria-describedby={error ? `${id}-note` : undefined}
        className="flex w-full [&>select]:h-10"
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        {children}
      </Select>
      <FieldNote id={`${id}-note`} error={error} />
    </div>
  );
}

function SpanChoice({
  values,
  ...props
}: Omit<ChoiceProps, "children"> & { values: readonly number[] }) {
  // A rule made elsewhere may have any.
  const own = Number(props.value);
  const all = values.includes(own) ? values : [...values, own].sort((a, b) => a - b);
  return (
    <Choice {...props}>
      {all.map((seconds) => (
        <option key={seconds} value={seconds}>
          {seconds === 0 ? "at once" : formatSpan(seconds)}
        </option>
      ))}
    </Choice>
  );
}
