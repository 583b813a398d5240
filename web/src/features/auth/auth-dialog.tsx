/** Sign in, register, ask for a reset link: one dialog, with what this installation offers. */
import { useMutation } from "@tanstack/react-query";
import { KeyRoundIcon, MailCheckIcon } from "lucide-react";
import type { FormEvent } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Notice } from "@/components/ui/notice";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/components/ui/tabs";
import { fieldErrors } from "@/lib/problem";
import { useStore } from "@/lib/store";
import { authApi } from "./api";
import { type AuthMode, authDialog, closeAuth, openAuth } from "./auth-dialog-state";
import { Field, FormProblem, PASSWORD_HINT, SubmitButton } from "./form";
import { importState } from "./guest-import";
import { startOidc } from "./oidc";
import { useSignIn } from "./use-me";
import { useAuthOptions } from "./use-options";

const FIELDS = ["email", "password"] as const;

export function AuthDialog() {
  const mode = useStore(authDialog);
  return (
    <Dialog open={mode !== null} onOpenChange={(open) => !open && closeAuth()}>
      <DialogContent>
        {mode === "forgot" ? <Forgot /> : <WaysIn mode={mode ?? "login"} />}
      </DialogContent>
    </Dialog>
  );
}

function WaysIn({ mode }: { mode: AuthMode }) {
  const options = useAuthOptions();
  // Until it is known, and where it cannot be, the server answers what is tried.
  const { registration = "open", password_reset = false, oidc = null } = options.data ?? {};
  return (
    <>
      <div className="space-y-1.5 pr-6">
        <DialogTitle>Your conversations, wherever you are</DialogTitle>
        <DialogDescription>
          Signed in, they are kept for you, without the limits of a guest. What you said here comes
          along.
        </DialogDescription>
      </div>
      {oidc !== null && <OidcButton name={oidc} />}
      {registration === "closed" ? (
        <div>
          <AuthForm mode="login" can_reset={password_reset} />
          <p className="mt-4 text-xs text-muted-foreground">
            New accounts cannot be made here. Ask whoever runs this for one.
          </p>
        </div>
      ) : (
        <Tabs value={mode} onValueChange={(value) => openAuth(value as AuthMode)}>
          <TabsList>
            <TabsTrigger value="login">Sign in</TabsTrigger>
            <TabsTrigger value="register">Register</TabsTrigger>
          </TabsList>
          <TabsContent value="login">
            <AuthForm mode="login" can_reset={password_reset} />
          </TabsContent>
          <TabsContent value="register">
            <AuthForm mode="register" can_reset={false} />
          </TabsContent>
        </Tabs>
      )}
    </>
  );
}

function OidcButton({ name }: { name: string }) {
  const leave = useMutation({ mutationFn: startOidc });
  return (
    <div>
      <Button
        variant="outline"
        className="h-10 w-full"
        disabled={leave.isPending}
        onClick={() => leave.mutate()}
      >
        <KeyRoundIcon />
        <span className="truncate">Continue with {name}</span>
      </Button>
      <div
        className="mt-5 flex items-center gap-3 text-xs text-muted-foreground before:h-px before:flex-1 before:bg-border after:h-px after:flex-1 after:bg-border"
        aria-hidden="true"
      >
        or
      </div>
    </div>
  );
}

function AuthForm({ mode, can_reset }: { mode: "login" | "register"; can_reset: boolean }) {
  const sign_in = useSignIn(mode);
  const { fields, rest } = fieldErrors(sign_in.error, FIELDS);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    sign_in.mutate(
      { email: String(form.get("email")).trim(), password: String(form.get("password")) },
      { onSuccess: closeAuth },
    );
  };

  return (
    <form className="mt-5 space-y-4" onSubmit={submit} noValidate>
      <FormProblem error={sign_in.error} detail={rest} />
      <Field
        name="email"
        label="Email"
        type="email"
        autoComplete="email"
        required
        error={fields.email}
      />
      <Field
        name="password"
        label="Password"
        type="password"
        autoComplete={mode === "login" ? "current-password" : "new-password"}
        required
        error={fields.password}
        hint={mode === "register" ? PASSWORD_HINT : undefined}
      />
      <SubmitButton className="h-10 w-full" pending={sign_in.isPending} error={sign_in.error}>
        {mode === "login" ? "Sign in" : "Create account"}
      </SubmitButton>
      {sign_in.isPending && <TakingAlong />}
      {can_reset && (
        <div className="text-center">
          <Button variant="link" size="sm" onClick={() => openAuth("forgot")}>
            Forgot your password?
          </Button>
        </div>
      )}
    </form>
  );
}

/** What signing in still waits for, once the password was right. */
function TakingAlong() {
  const state = useStore(importState);
  if (state.phase === "waiting") {
    return (
      <Notice
        role="status"
        action={
          <Button size="xs" variant="outline" onClick={state.cut}>
            Do not wait
          </Button>
        }
      >
        Waiting for the answer under way…
      </Notice>
    );
  }
  if (state.phase !== "importing") return null;
  return <Notice role="status">Moving your conversations to your account…</Notice>;
}

function Forgot() {
  const ask = useMutation({ mutationFn: authApi.requestReset });
  const { fields, rest } = fieldErrors(ask.error, ["email"] as const);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    ask.mutate(String(new FormData(event.currentTarget).get("email")).trim());
  };

  return (
    <>
      <div className="space-y-1.5 pr-6">
        <DialogTitle>A new password</DialogTitle>
        <DialogDescription>
          {ask.isSuccess
            ? "If there is an account with this address, a mail with a link is on its way to it."
            : "We send a link to your address, with which you can choose one."}
        </DialogDescription>
      </div>
      {ask.isSuccess ? (
        <div className="space-y-4">
          <p className="flex items-center gap-2.5 text-sm" role="status">
            <MailCheckIcon className="size-4 shrink-0 text-primary" />
            <span className="min-w-0 break-words">Look into the mailbox of {ask.variables}.</span>
          </p>
          <Button variant="secondary" className="w-full" onClick={() => openAuth("login")}>
            Back to signing in
          </Button>
        </div>
      ) : (
        <form className="space-y-4" onSubmit={submit} noValidate>
          <FormProblem error={ask.error} detail={rest} />
          <Field
            name="email"
            label="Email"
            type="email"
            autoComplete="email"
            required
            error={fields.email}
          />
          <SubmitButton className="h-10 w-full" pending={ask.isPending} error={ask.error}>
            Send the link
          </SubmitButton>
          <Button variant="ghost" size="sm" className="w-full" onClick={() => openAuth("login")}>
            Back to signing in
          </Button>
        </form>
      )}
    </>
  );
}
