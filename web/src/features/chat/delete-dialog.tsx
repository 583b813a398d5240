/** Asks once before a message goes with everything below it, and says how much that is. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Notice } from "@/components/ui/notice";
import { plural } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { type BranchExtent, chatApi } from "./api";
import type { Session } from "./session";

interface DeleteDialogProps {
  session: Session;
  message_id: string;
  guest: boolean;
  onClose: () => void;
}

export function DeleteDialog({ session, message_id, guest, onClose }: DeleteDialogProps) {
  const extent = useQuery({
    queryKey: ["branch", session.id, message_id],
    queryFn: ({ signal }) =>
      guest
        ? heldBelow(session, message_id)
        : chatApi.measureBranch(session.id, message_id, signal),
    gcTime: 0,
  });
  const removal = useMutation({
    mutationFn: () => session.remove(message_id),
    onSuccess: onClose,
  });
  const error = removal.error ?? extent.error;
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent role="alertdialog">
        <div className="space-y-2 pr-6">
          <DialogTitle>Delete this message?</DialogTitle>
          <DialogDescription>
            {extent.data ? whatGoes(extent.data) : "Counting what stands below it…"}
          </DialogDescription>
        </div>
        {error && (
          <Notice tone="destructive" role="alert">
            {sentence(error)}
          </Notice>
        )}
        <div className="flex justify-end gap-2">
          <Button variant="ghost" onClick={onClose}>
            Cancel
          </Button>
          <Button
            variant="destructive"
            disabled={!extent.isSuccess || removal.isPending}
            onClick={() => removal.mutate()}
          >
            {removal.isPending ? "Deleting…" : "Delete"}
          </Button>
        </div>
      </DialogContent>
    </Dialog>
  );
}

/** A guest's browser holds one branch. */
function heldBelow({ chat }: Session, message_id: string): BranchExtent {
  const index = chat.messages.findIndex(({ id }) => id === message_id);
  return { messages: chat.messages.length - index, branches: 1 };
}

function whatGoes({ messages, branches }: BranchExtent): string {
  const below = messages - 1;
  if (below === 0) return "It is deleted for good.";
  const where = branches > 1 ? `, on ${branches} branches,` : "";
  return `It and the ${plural(below, "message")} below it${where} are deleted for good.`;
}
