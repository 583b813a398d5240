/** The end of the account: asked for once, with the address typed and the password told. */
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Field, FormProblem, SubmitButton } from "@/features/auth/form";
import { useLeave } from "@/features/auth/use-me";
import { fieldErrors } from "@/lib/problem";
import { accountApi } from "./api";
import { Section } from "./section";

interface DeleteProps {
  email: string;
  has_password: boolean;
}

export function DeleteSection({ email, has_password }: DeleteProps) {
  const [open, setOpen] = useState(false);
  return (
    <Section
      title="Delete the account"
      about="With its conversations, files, links and keys, at once and for good. Export them first if you want to keep them."
      action={
        <Button
          variant="outline"
          size="sm"
          className="text-destructive hover:text-destructive"
          onClick={() => setOpen(true)}
        >
          Delete the account
        </Button>
      }
    >
      {open && (
        <DeleteDialog email={email} has_password={has_password} onClose={() => setOpen(false)} />
      )}
    </Section>
  );
}

function DeleteDialog({ email, has_password, onClose }: DeleteProps & { onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const erase = useLeave(accountApi.deleteAccount);
  const { fields, rest } = fieldErrors(erase.error, ["password"] as const);
  const is_confirmed = typed.trim().toLowerCase() === email.toLowerCase();
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent>
        <form
          className="space-y-5"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            const password = new FormData(event.currentTarget).get("password");
            if (is_confirmed) erase.mutate(password === null ? null : String(password));
          }}
        >
          <div className="space-y-1.5 pr-6">
            <DialogTitle>Delete your account?</DialogTitle>
            <DialogDescription>
              Everything in it is gone at once. Nobody can bring it back.
            </DialogDescription>
          </div>
          <FormProblem error={erase.error} detail={rest} />
          <Field
            name="email"
            label={`Type ${email}`}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          {has_password && (
            <Field
              name="password"
              label="Password"
              type="password"
              autoComplete="current-password"
              required
              error={fields.password}
            />
          )}
          <div className="flex justify-end gap-2">
            <Button variant="ghost" onClick={onClose}>
              Cancel
            </Button>
            <SubmitButton
              variant="destructive"
              pending={erase.isPending}
              disabled={!is_confirmed}
              error={erase.error}
            >
              Delete for good
            </SubmitButton>
          </div>
        </form>
      </DialogContent>
    </Dialog>
  );
}
