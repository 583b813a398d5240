/** Sign in and register: one dialog, errors of the API at the fields they are about. */
import { LoaderCircleIcon } from "lucide-react";
import { type FormEvent, useId } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { Notice } from "@/components/ui/notice";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/components/ui/tabs";
import { fieldErrors } from "@/lib/problem";
import { useStore } from "@/lib/store";
import { type AuthMode, authDialog, closeAuth, openAuth } from "./auth-dialog-state";
import { useSignIn } from "./use-me";

const FIELDS = ["email", "password"] as const;
const MIN_PASSWORD = 12;

export function AuthDialog() {
  const mode = useStore(authDialog);
  return (
    <Dialog open={mode !== null} onOpenChange={(open) => !open && closeAuth()}>
      <DialogContent>
        <div className="space-y-1.5 pr-6">
          <DialogTitle>Your conversations, wherever you are</DialogTitle>
          <DialogDescription>
            Signed in, they are kept for you, without the limits of a guest.
          </DialogDescription>
        </div>
        <Tabs value={mode ?? "login"} onValueChange={(value) => openAuth(value as AuthMode)}>
          <TabsList>
            <TabsTrigger value="login">Sign in</TabsTrigger>
            <TabsTrigger value="register">Register</TabsTrigger>
          </TabsList>
          <TabsContent value="login">
            <AuthForm mode="login" />
          </TabsContent>
          <TabsContent value="register">
            <AuthForm mode="register" />
          </TabsContent>
        </Tabs>
      </DialogContent>
    </Dialog>
  );
}

function AuthForm({ mode }: { mode: AuthMode }) {
  const id = useId();
  const sign_in = useSignIn(mode);
  const { fields, rest } = sign_in.isError
    ? fieldErrors(sign_in.error, FIELDS)
    : { fields: {}, rest: null };

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
      {rest !== null && (
        <Notice tone="destructive" role="alert">
          {rest}
        </Notice>
      )}
      <Field
        id={`${id}-email`}
        name="email"
        label="Email"
        type="email"
        autoComplete="email"
        error={fields.email}
      />
      <Field
        id={`${id}-password`}
        name="password"
        label="Password"
        type="password"
        autoComplete={mode === "login" ? "current-password" : "new-password"}
        error={fields.password}
        hint={mode === "register" ? `At least ${MIN_PASSWORD} characters` : undefined}
      />
      <Button type="submit" className="h-10 w-full" disabled={sign_in.isPending}>
        {sign_in.isPending && <LoaderCircleIcon className="animate-spin" />}
        {mode === "login" ? "Sign in" : "Create account"}
      </Button>
    </form>
  );
}

interface FieldProps {
  id: string;
  name: string;
  label: string;
  type: string;
  autoComplete: string;
  error?: string;
  hint?: string;
}

function Field({ id, label, error, hint, ...input }: FieldProps) {
  const note = error ?? hint;
  return (
    <div className="space-y-1.5">
      <Label htmlFor={id}>{label}</Label>
      <Input
        id={id}
        required
        aria-invalid={error !== undefined}
        aria-describedby={note ? `${id}-note` : undefined}
        {...input}
      />
      {note && (
        <p
          id={`${id}-note`}
          role={error ? "alert" : undefined}
          className={error ? "text-xs text-destructive" : "text-xs text-muted-foreground"}
        >
          {note}
        </p>
      )}
    </div>
  );
}
