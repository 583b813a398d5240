/**
 * The route `/reset-password#token=…` of a reset link. The token stands behind the `#`, which no
 * server is sent; it is taken out of the address at once, and goes nowhere but into the request.
 */
import { useMutation } from "@tanstack/react-query";
import { useNavigate, useRouterState } from "@tanstack/react-router";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Notice } from "@/components/ui/notice";
import { fieldErrors } from "@/lib/problem";
import { keys, queryClient } from "@/lib/query-client";
import { authApi } from "./api";
import { openAuth } from "./auth-dialog-state";
import { Field, FormProblem, PASSWORD_HINT, SubmitButton } from "./form";
import { useMe } from "./use-me";

const FIELDS = ["password", "token"] as const;

function tokenOf(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token");
}

export function ResetPage() {
  const navigate = useNavigate();
  const hash = useRouterState({ select: ({ location }) => location.hash });
  const [token, setToken] = useState(() => tokenOf(hash));

  useEffect(() => {
    if (hash === "") return;
    const found = tokenOf(hash);
    if (found !== null) setToken(found);
    void navigate({ to: "/reset-password", hash: "", replace: true });
  }, [hash, navigate]);

  return (
    <div className="h-full overflow-y-auto">
      <title>New password · Tailrace</title>
      <div className="mx-auto flex min-h-full max-w-md flex-col justify-center px-4 py-8">
        <Card className="space-y-5 p-6">
          <h1 className="text-lg leading-tight font-semibold tracking-tight">
            Choose a new password
          </h1>
          {token === null ? (
            <NoLink>
              This page is opened by the link in a mail. Follow it again, or ask for another one.
            </NoLink>
          ) : (
            <ResetForm key={token} token={token} />
          )}
        </Card>
      </div>
    </div>
  );
}

function ResetForm({ token }: { token: string }) {
  const me = useMe();
  const reset = useMutation({
    mutationFn: (password: string) => authApi.confirmReset(token, password),
    // Every session ended, this browser's among them.
    onSuccess: () => queryClient.invalidateQueries({ queryKey: keys.me }),
  });
  const { fields, rest } = fieldErrors(reset.error, FIELDS);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    reset.mutate(String(new FormData(event.currentTarget).get("password")));
  };

  if (reset.isSuccess) {
    return (
      <div className="space-y-4" role="status">
        <p className="text-sm">
          Your password is changed. Wherever you were signed in, you are not any more.
        </p>
        <Button
          className="h-10 w-full"
          disabled={me.data?.kind === "user"}
          onClick={() => openAuth("login")}
        >
          Sign in
        </Button>
      </div>
    );
  }
  if (fields.token !== undefined) return <NoLink>{fields.token}</NoLink>;
  return (
    <form className="space-y-4" onSubmit={submit} noValidate>
      <FormProblem error={reset.error} detail={rest} />
      <Field
        name="password"
        label="New password"
        type="password"
        autoComplete="new-password"
        required
        error={fields.password}
        hint={PASSWORD_HINT}
      />
      <SubmitButton className="h-10 w-full" pending={reset.isPending} error={reset.error}>
        Change the password
      </SubmitButton>
    </form>
  );
}

function NoLink({ children }: { children: ReactNode }) {
  return (
    <div className="space-y-4">
      <Notice tone="warning" role="alert">
        {children}
      </Notice>
      <Button variant="secondary" className="w-full" onClick={() => openAuth("forgot")}>
        Ask for a link
      </Button>
    </div>
  );
}
