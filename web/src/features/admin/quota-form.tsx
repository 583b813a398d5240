/** A user's own quotas: each as the settings say, without end, or an amount. */
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { Select } from "@/components/ui/select";
import type { Quota, QuotaName } from "@/features/account/api";
import { choiceOf, givenOf, QUOTA_NAMES, type QuotaChoice } from "@/features/account/quotas";
import { FieldNote, FormProblem, SubmitButton } from "@/features/auth/form";
import { fieldErrors } from "@/lib/problem";
import { queryClient } from "@/lib/query-client";
import { adminApi, adminKeys, type GivenQuotas } from "./api";

const KINDS: Record<QuotaChoice["kind"], string> = {
  settings: "As everybody",
  unlimited: "No limit",
  amount: "Own limit",
};

type Choices = Record<QuotaName, QuotaChoice>;

export function QuotaForm({
  user_id,
  quotas,
  onClose,
}: {
  user_id: string;
  quotas: Quota[];
  onClose: () => void;
}) {
  const [choices, setChoices] = useState(
    () => Object.fromEntries(quotas.map((quota) => [quota.name, choiceOf(quota)])) as Choices,
  );
  const names = quotas.map(({ name }) => name);
  const put = useMutation({
    mutationFn: (given: GivenQuotas) => adminApi.putQuota(user_id, given),
    onSuccess: (usage) => {
      queryClient.setQueryData(adminKeys.quota(user_id), usage);
      onClose();
    },
  });
  const { fields, rest } = fieldErrors(put.error, names);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const given = names.map((name) => [name, givenOf(name, choices[name])]);
    put.mutate(Object.fromEntries(given) as GivenQuotas);
  };

  return (
    <form className="space-y-4" onSubmit={submit} noValidate>
      <FormProblem error={put.error} detail={rest} />
      {names.map((name) => (
        <QuotaField
          key={name}
          name={name}
          choice={choices[name]}
          error={fields[name]}
          onChange={(choice) => setChoices({ ...choices, [name]: choice })}
        />
      ))}
      <div className="flex justify-end gap-2">
        <Button variant="ghost" size="sm" onClick={onClose}>
          Cancel
        </Button>
        <SubmitButton size="sm" pending={put.isPending} error={put.error}>
          Save
        </SubmitButton>
      </div>
    </form>
  );
}

function QuotaField({
  name,
  choice,
  error,
  onChange,
}: {
  name: QuotaName;
  choice: QuotaChoice;
  error?: string;
  onChange: (choice: QuotaChoice) => void;
}) {
  const id = useId();
  const { title, unit } = QUOTA_NAMES[name];
  return (
    <fieldset className="space-y-1.5">
      <legend className="mb-1.5 text-sm">{title}</legend>
      <div className="flex gap-2">
        <Select
          aria-label={title}
          value={choice.kind}
          className="flex-1"
          onChange={(event) =>
            onChange({ ...choice, kind: event.currentTarget.value as QuotaChoice["kind"] })
          }
        >
          {Object.entries(KINDS).map(([kind, label]) => (
            <option key={kind} value={kind}>
              {label}
            </option>
          ))}
        </Select>
        {choice.kind === "amount" && (
          <Input
            aria-label={`${title}, ${unit === "usd" ? "US dollars" : "tokens"}`}
            aria-invalid={error !== undefined}
            aria-describedby={error ? `${id}-note` : undefined}
            inputMode={unit === "usd" ? "decimal" : "numeric"}
            className="h-8 flex-1 px-2.5"
            value={choice.amount}
            placeholder={unit === "usd" ? "USD" : "Tokens"}
            onChange={(event) => onChange({ ...choice, amount: event.currentTarget.value })}
          />
        )}
      </div>
      <FieldNote id={`${id}-note`} error={error} />
    </fieldset>
  );
}
