/** Asks once before something that cannot be taken back. */
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { FormProblem, SubmitButton } from "@/features/auth/form";
import { sentence } from "@/lib/problem";

export interface ConfirmProps {
  open: boolean;
  title: string;
  children: ReactNode;
  /** What the button that does it says. */
  verb: string;
  pending: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({
  open,
  title,
  children,
  verb,
  pending,
  error,
  onConfirm,
  onClose,
}: ConfirmProps) {
  return (
    <Dialog open={open} onOpenChange={(is_open) => !is_open && onClose()}>
      <DialogContent>
        <form
          className="space-y-5"
          onSubmit={(event) => {
            event.preventDefault();
            onConfirm();
          }}
        >
          <div className="space-y-1.5 pr-6">
            <DialogTitle>{title}</DialogTitle>
            <DialogDescription>{children}</DialogDescription>
          </div>
          <FormProblem error={error} detail={error === null ? null : sentence(error)} />
          <div className="flex justify-end gap-2">
            <Button variant="ghost" onClick={onClose}>
              Cancel
            </Button>
            <SubmitButton variant="destructive" pending={pending} error={error}>
              {verb}
            </SubmitButton>
          </div>
        </form>
      </DialogContent>
    </Dialog>
  );
}
