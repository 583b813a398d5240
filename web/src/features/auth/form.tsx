/** Forms about people: a field with its error beside it, and what is wrong with the whole. */
import { LoaderCircleIcon } from "lucide-react";
import { type ComponentProps, type ReactNode, useId } from "react";
import { Button, type ButtonProps } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { Notice } from "@/components/ui/notice";
import { formatWait, useWait } from "./wait";

/** The server's limit; it has the last word. */
const MIN_PASSWORD = 12;
export const PASSWORD_HINT = `At least ${MIN_PASSWORD} characters`;

interface FieldProps extends ComponentProps<"input"> {
  label: string;
  error?: string;
  hint?: string;
}

export function Field({ label, error, hint, ...input }: FieldProps) {
  const id = useId();
  return (
    <div className="space-y-1.5">
      <Label htmlFor={id}>{label}</Label>
      <Input
        id={id}
        aria-invalid={error !== undefined}
        aria-describedby={(error ?? hint) ? `${id}-note` : undefined}
        {...input}
      />
      <FieldNote id={`${id}-note`} error={error} hint={hint} />
    </div>
  );
}

export function FieldNote({ id, error, hint }: { id: string; error?: string; hint?: string }) {
  const note = error ?? hint;
  if (!note) return null;
  return (
    <p
      id={id}
      role={error ? "alert" : undefined}
      className={error ? "text-xs text-destructive" : "text-xs text-muted-foreground"}
    >
      {note}
    </p>
  );
}

/** What is wrong with a form as a whole; null where nothing is. */
export function FormProblem({ error, detail }: { error: unknown; detail: string | null }) {
  const wait = useWait(error);
  if (detail === null) return null;
  return (
    <Notice tone="destructive" role="alert">
      {detail}
      {wait > 0 && (
        // The sentence is announced once, not with every second.
        <span aria-live="off"> You can try again in {formatWait(wait)}.</span>
      )}
    </Notice>
  );
}

/** Sends a form. Waits with it for as long as the last refusal asked to. */
export function SubmitButton({
  pending,
  error,
  disabled = false,
  children,
  ...props
}: ButtonProps & { pending: boolean; error: unknown; children: ReactNode }) {
  const wait = useWait(error);
  return (
    <Button type="submit" disabled={disabled || pending || wait > 0} {...props}>
      {pending && <LoaderCircleIcon className="animate-spin" />}
      {children}
    </Button>
  );
}
