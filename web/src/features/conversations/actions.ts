/**
 * What a person does to a conversation: it shows at once, and is taken back when the server
 * refuses it. Called by the list's rows, its menu and the tags dialog.
 */
import type { ConversationItem } from "@/lib/api";
import { sentence } from "@/lib/problem";
import { keys, queryClient } from "@/lib/query-client";
import { tell } from "@/lib/toasts";
import { type Arrangement, conversationsApi } from "./api";
import { placeEverywhere } from "./lists";

let pending = 0;

/** Shows `after` while a request makes it true; on failure shows `before`, and throws. */
async function optimistically(
  before: ConversationItem,
  after: ConversationItem,
  request: () => Promise<ConversationItem>,
): Promise<void> {
  pending += 1;
  try {
    // A list on its way was read before this change.
    await queryClient.cancelQueries({ queryKey: keys.conversations });
    placeEverywhere(after);
    placeEverywhere(await request());
  } catch (error) {
    placeEverywhere(before);
    throw error;
  } finally {
    pending -= 1;
    if (pending === 0) {
      void queryClient.invalidateQueries({ queryKey: keys.conversations });
      void queryClient.invalidateQueries({ queryKey: keys.tags });
    }
  }
}

/** Renames, pins, archives or tags. */
export function arrange(item: ConversationItem, arrangement: Arrangement): Promise<void> {
  return optimistically(item, { ...item, ...arrangement }, () =>
    conversationsApi.change(item.id, arrangement),
  );
}

function deleteItem(item: ConversationItem): Promise<void> {
  const deleted = { ...item, deleted_at: new Date().toISOString(), active_run_id: null };
  return optimistically(item, deleted, async () => {
    await conversationsApi.delete(item.id);
    return deleted;
  });
}

export function restore(item: ConversationItem): Promise<void> {
  return optimistically(item, { ...item, deleted_at: null }, () =>
    conversationsApi.restore(item.id),
  );
}

/** Tells of a failure that has no place of its own on the page. */
export function tellFailure(what: string) {
  return (error: unknown) => tell({ tone: "destructive", text: `${what} ${sentence(error)}` });
}

/** Archives, or takes that back, and offers the way back. */
export function archive(item: ConversationItem, archived: boolean): void {
  const what = archived ? "It could not be archived." : "It could not be brought back.";
  arrange(item, { archived }).then(
    () =>
      tell({
        text: archived ? `Archived “${item.title}”.` : `“${item.title}” is in the list again.`,
        action: { label: "Undo", run: () => archive({ ...item, archived }, !archived) },
      }),
    tellFailure(what),
  );
}

/**
 * Deletes a conversation and offers to restore it.
 *
 * `leave` is called at once, where the page shows that conversation, and `comeBack` when it was
 * restored, or could not be deleted.
 */
export function deleteWithUndo(
  item: ConversationItem,
  { leave, comeBack }: { leave: () => void; comeBack: () => void },
): void {
  leave();
  const undo = () =>
    restore({ ...item, deleted_at: new Date().toISOString() }).then(
      comeBack,
      tellFailure("It could not be restored."),
    );
  deleteItem(item).then(
    () =>
      tell({
        text: `Deleted “${item.title}”.`,
        action: { label: "Undo", run: () => void undo() },
      }),
    (error: unknown) => {
      comeBack();
      tellFailure("It could not be deleted.")(error);
    },
  );
}
