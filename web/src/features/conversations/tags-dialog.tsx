/** The tags of one conversation: taken away by a press, added by typing. Each change holds at once. */
import { XIcon } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import type { ConversationItem } from "@/lib/api";
import { fieldErrors, sentence } from "@/lib/problem";
import { arrange } from "./actions";
import { withTags } from "./lists";
import { closeOverlay } from "./overlay-state";
import { useKnownTags } from "./use-known-tags";

const MAX_TAG = 50;

export function TagsDialog({ conversation }: { conversation: ConversationItem }) {
  const id = useId();
  const [tags, setTags] = useState(conversation.tags);
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [saving, setSaving] = useState(false);
  const unused = useKnownTags().filter((tag) => !tags.includes(tag));

  const save = async (next: string[]): Promise<boolean> => {
    setError(null);
    setTags(next);
    setSaving(true);
    try {
      await arrange({ ...conversation, tags }, { tags: next });
      return true;
    } catch (failure) {
      setTags(tags);
      const { fields } = fieldErrors(failure, ["tags"]);
      setError(fields.tags ?? sentence(failure));
      return false;
    } finally {
      setSaving(false);
    }
  };

  const add = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const next = withTags(tags, typed);
    if (next.length === tags.length) return setTyped("");
    // What was refused stays in the field, to be put right.
    if (await save(next)) setTyped("");
  };

  return (
    <Dialog open onOpenChange={closeOverlay}>
      <DialogContent>
        <div className="space-y-1.5 pr-6">
          <DialogTitle>Tags</DialogTitle>
          <DialogDescription className="truncate">{conversation.title}</DialogDescription>
        </div>
        {tags.length > 0 && (
          <ul className="flex flex-wrap gap-1.5" aria-label="Tags of this conversation">
            {tags.map((tag) => (
              <li key={tag} className="max-w-full">
                <Button
                  variant="secondary"
                  size="xs"
                  className="max-w-full font-normal"
                  aria-label={`Remove tag ${tag}`}
                  disabled={saving}
                  onClick={() => void save(tags.filter((other) => other !== tag))}
                >
                  <span className="truncate">#{tag}</span>
                  <XIcon className="size-3!" />
                </Button>
              </li>
            ))}
          </ul>
        )}
        <form onSubmit={(event) => void add(event)} className="space-y-1.5">
          <Label htmlFor={id}>Add a tag</Label>
          <div className="flex gap-2">
            <Input
              id={id}
              value={typed}
              list={`${id}-known`}
              autoComplete="off"
              maxLength={MAX_TAG}
              aria-invalid={error !== null}
              aria-describedby={error === null ? undefined : `${id}-error`}
              onChange={(event) => setTyped(event.target.value)}
            />
            <Button type="submit" className="h-10" disabled={saving || typed.trim() === ""}>
              Add
            </Button>
          </div>
          <datalist id={`${id}-known`}>
            {unused.map((tag) => (
              <option key={tag} value={tag} />
            ))}
          </datalist>
          {error !== null && (
            <p id={`${id}-error`} role="alert" className="text-xs text-destructive">
              {error}
            </p>
          )}
        </form>
      </DialogContent>
    </Dialog>
  );
}
