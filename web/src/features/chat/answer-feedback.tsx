/** A thumb on an answer, and a note on why. */
import { MessageSquareTextIcon, ThumbsDownIcon, ThumbsUpIcon } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button } from "@/components/ui/button";
import { Label } from "@/components/ui/label";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import { Tooltip } from "@/components/ui/tooltip";
import type { Feedback } from "@/lib/api";

/** The server's limit. */
const MAX_NOTE = 2000;

const THUMBS = [
  { rating: "up", label: "Good answer", Icon: ThumbsUpIcon },
  { rating: "down", label: "Bad answer", Icon: ThumbsDownIcon },
] as const;

interface AnswerFeedbackProps {
  feedback: Feedback | null;
  /** Null takes a rating back. */
  onRate: (feedback: Feedback | null) => void;
}

export function AnswerFeedback({ feedback, onRate }: AnswerFeedbackProps) {
  return (
    <>
      {THUMBS.map(({ rating, label, Icon }) => {
        const is_given = feedback?.rating === rating;
        return (
          <Tooltip key={rating} content={label} side="bottom">
            <Button
              variant="ghost"
              size="icon-xs"
              aria-label={label}
              aria-pressed={is_given}
              onClick={() => onRate(is_given ? null : { rating, note: feedback?.note ?? null })}
            >
              <Icon className={is_given ? "fill-current text-primary" : undefined} />
            </Button>
          </Tooltip>
        );
      })}
      {feedback !== null && <Note feedback={feedback} onRate={onRate} />}
    </>
  );
}

function Note({ feedback, onRate }: { feedback: Feedback } & Pick<AnswerFeedbackProps, "onRate">) {
  const [open, setOpen] = useState(false);
  const label = feedback.note === null ? "Add a note" : "Change the note";
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <Tooltip content={feedback.note ?? label} side="bottom">
        <PopoverTrigger asChild>
          <Button variant="ghost" size="icon-xs" aria-label={label}>
            <MessageSquareTextIcon
              className={feedback.note === null ? undefined : "text-primary"}
            />
          </Button>
        </PopoverTrigger>
      </Tooltip>
      <PopoverContent
        align="start"
        className="w-80 max-w-[calc(100vw-1rem)] p-3"
        aria-label={label}
      >
        <NoteForm
          note={feedback.note ?? ""}
          onSave={(note) => {
            setOpen(false);
            onRate({ ...feedback, note: note || null });
          }}
        />
      </PopoverContent>
    </Popover>
  );
}

function NoteForm({ note, onSave }: { note: string; onSave: (note: string) => void }) {
  const [text, setText] = useState(note);
  const save = (event: FormEvent) => {
    event.preventDefault();
    onSave(text.trim());
  };
  return (
    <form onSubmit={save} className="space-y-2.5">
      <Label htmlFor="feedback-note">What was good or bad about it?</Label>
      <textarea
        id="feedback-note"
        rows={3}
        maxLength={MAX_NOTE}
        value={text}
        onChange={(event) => setText(event.target.value)}
        className="block w-full resize-none rounded-md border border-input bg-background/40 px-3 py-2 text-sm outline-none focus-visible:border-ring focus-visible:ring-2 focus-visible:ring-ring/40"
      />
      <div className="flex justify-end">
        <Button type="submit" size="xs">
          Save note
        </Button>
      </div>
    </form>
  );
}
