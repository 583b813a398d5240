/** A change of password, after which every other session ends, or a way to a first one. */
import { useMutation } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { authApi } from "@/features/auth/api";
import { Field, FormProblem, PASSWORD_HINT, SubmitButton } from "@/features/auth/form";
import { useAuthOptions } from "@/features/auth/use-options";
import { fieldErrors, sentence } from "@/lib/problem";
import { queryClient } from "@/lib/query-client";
import { accountApi, accountKeys } from "./api";
import { Section } from "./section";

const FIELDS = ["current_password", "new_password"] as const;

export function PasswordSection({ email }: { email: string }) {
  const change = useMutation({
    mutationFn: accountApi.changePassword,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: accountKeys.sessions }),
  });
  const { fields, rest } = fieldErrors(change.error, FIELDS);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const entered = new FormData(form);
    change.mutate(
      {
        current_password: String(entered.get("current_password")),
        new_password: String(entered.get("new_password")),
      },
      { onSuccess: () => form.reset() },
    );
  };

  return (
    <Section title="Password" about="Changing it signs you out everywhere else.">
      <form className="max-w-sm space-y-4" onSubmit={submit} noValidate>
        <FormProblem error={change.error} detail={rest} />
        {change.isSuccess && <Notice role="status">Your password is changed.</Notice>}
        {/* Tells a password manager whose passwords these are. */}
        <input hidden name="username" autoComplete="username" value={email} readOnly />
        <Field
          name="current_password"
          label="Current password"
          type="password"
          autoComplete="current-password"
          required
          error={fields.current_password}
        />
        <Field
          name="new_password"
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          error={fields.new_password}
          hint={PASSWORD_HINT}
        />
        <SubmitButton variant="secondary" pending={change.isPending} error={change.error}>
          Change the password
        </SubmitButton>
      </form>
    </Section>
  );
}

/** For who came through the identity provider: a link by mail proves whose the address is. */
export function NoPasswordSection({ email }: { email: string }) {
  const options = useAuthOptions();
  const ask = useMutation({ mutationFn: authApi.requestReset });
  return (
    <Section
      title="Password"
      about="You sign in without a password."
      action={
        options.data?.password_reset && (
          <Button
            variant="outline"
            size="sm"
            disabled={ask.isPending || ask.isSuccess}
            onClick={() => ask.mutate(email)}
          >
            Send a link to set one
          </Button>
        )
      }
    >
      {ask.isSuccess ? (
        <Notice role="status">A mail with a link is on its way to {email}.</Notice>
      ) : (
        ask.isError && <FormProblem error={ask.error} detail={sentence(ask.error)} />
      )}
    </Section>
  );
}
