/** One conversation of the sidebar: a link, its menu, and its title while it is being changed. */
import { Link, useNavigate } from "@tanstack/react-router";
import { RotateCcwIcon } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import type { ConversationItem } from "@/lib/api";
import { arrange, deleteWithUndo, restore, tellFailure } from "./actions";
import { ConversationMenu } from "./conversation-menu";

const MAX_TITLE = 200;

/** What a row needs; a guest's conversations have no more. */
type Shown = Pick<ConversationItem, "id" | "title"> &
  Partial<Pick<ConversationItem, "active_run_id" | "tags">>;

export function ConversationLink({ item, className = "" }: { item: Shown; className?: string }) {
  return (
    <Link
      to="/c/$conversationId"
      params={{ conversationId: item.id }}
      className={`flex items-center gap-2 rounded-md px-3 py-1.5 text-sm text-foreground/80 outline-none hover:bg-accent/60 hover:text-foreground focus-visible:ring-2 focus-visible:ring-ring ${className}`}
      activeProps={{ className: "bg-accent text-foreground", "aria-current": "page" }}
    >
      <span className="min-w-0 flex-1">
        <span className="block truncate">{item.title}</span>
        <Tags tags={item.tags} />
      </span>
      {item.active_run_id && (
        <span
          role="img"
          aria-label="Answering"
          className="size-1.5 shrink-0 animate-pulse rounded-full bg-primary"
        />
      )}
    </Link>
  );
}

function Tags({ tags }: Pick<Shown, "tags">) {
  if (!tags?.length) return null;
  return (
    <span className="block truncate text-xs text-muted-foreground">
      {tags.map((tag) => `#${tag}`).join(" ")}
    </span>
  );
}

/** The link below a row, or else the one above it. */
function neighbourOf(row: HTMLElement | null): HTMLElement | undefined {
  if (row === null) return undefined;
  const rows = [...(row.closest("nav")?.querySelectorAll<HTMLElement>("li") ?? [])];
  const at = rows.indexOf(row);
  return (rows[at + 1] ?? rows[at - 1])?.querySelector("a") ?? undefined;
}

export function ConversationRow({ item }: { item: ConversationItem }) {
  const [renaming, setRenaming] = useState(false);
  const navigate = useNavigate();
  const row = useRef<HTMLLIElement>(null);

  const onDelete = () => {
    const was_open = window.location.pathname === `/c/${item.id}`;
    deleteWithUndo(item, {
      leave: () => {
        if (was_open) void navigate({ to: "/" });
      },
      comeBack: () => {
        if (!was_open) return;
        void navigate({ to: "/c/$conversationId", params: { conversationId: item.id } });
      },
    });
  };

  return (
    <li ref={row} className="group relative">
      {renaming ? (
        <TitleField
          title={item.title}
          onDone={(title) => {
            setRenaming(false);
            // Once the link is there again, the keyboard goes on from it.
            requestAnimationFrame(() => row.current?.querySelector("a")?.focus());
            if (title === null) return;
            arrange(item, { title }).catch(tellFailure("It could not be renamed."));
          }}
        />
      ) : (
        <>
          <ConversationLink item={item} className="pr-9" />
          <ConversationMenu
            item={item}
            onRename={() => setRenaming(true)}
            onDelete={onDelete}
            next={() => neighbourOf(row.current)}
          />
        </>
      )}
    </li>
  );
}

interface TitleFieldProps {
  title: string;
  /** Given the new title, or null where it stays as it was. */
  onDone: (title: string | null) => void;
}

function TitleField({ title, onDone }: TitleFieldProps) {
  const field = useRef<HTMLInputElement>(null);
  const done = useRef(false);

  useEffect(() => field.current?.select(), []);

  const end = (typed: string | null) => {
    // The field loses the focus as it goes: that is no second answer.
    if (done.current) return;
    done.current = true;
    const next = typed?.trim();
    onDone(next && next !== title ? next : null);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") end(event.currentTarget.value);
    if (event.key === "Escape") end(null);
  };

  return (
    <input
      ref={field}
      // biome-ignore lint/a11y/noAutofocus: a person has just asked to type here.
      autoFocus
      aria-label="Title"
      defaultValue={title}
      maxLength={MAX_TITLE}
      onKeyDown={onKeyDown}
      onBlur={(event) => end(event.currentTarget.value)}
      className="h-8 w-full rounded-md border border-ring bg-background px-2.5 text-base outline-none md:text-sm"
    />
  );
}

/** A deleted conversation: it cannot be read, but brought back. */
export function DeletedRow({ item }: { item: ConversationItem }) {
  return (
    <li className="flex items-center gap-1 rounded-md py-0.5 pr-1 pl-3 text-sm text-muted-foreground">
      <span className="min-w-0 flex-1">
        <span className="block truncate">{item.title}</span>
        <Tags tags={item.tags} />
      </span>
      <Button
        variant="ghost"
        size="icon-xs"
        aria-label={`Restore ${item.title}`}
        onClick={() => {
          restore(item).catch(tellFailure("It could not be restored."));
        }}
      >
        <RotateCcwIcon />
      </Button>
    </li>
  );
}
