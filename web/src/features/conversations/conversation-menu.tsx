/** What can be done to one conversation of the list. */
import {
  ArchiveIcon,
  ArchiveRestoreIcon,
  BracesIcon,
  EllipsisIcon,
  FileTextIcon,
  PencilIcon,
  PinIcon,
  PinOffIcon,
  Share2Icon,
  TagIcon,
  Trash2Icon,
} from "lucide-react";
import { useRef } from "react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import type { ConversationItem } from "@/lib/api";
import { archive, arrange, tellFailure } from "./actions";
import { overlay } from "./overlay-state";

interface ConversationMenuProps {
  item: ConversationItem;
  onRename: () => void;
  onDelete: () => void;
  /** What takes the focus when the conversation leaves the list. */
  next: () => HTMLElement | undefined;
}

export function ConversationMenu({ item, onRename, onDelete, next }: ConversationMenuProps) {
  const goOn = useRef<(() => void) | null>(null);
  const leave = () => {
    // Looked for now: this row may be gone before its menu is.
    const heir = next();
    goOn.current = () => heir?.focus();
  };
  const PinToggle = item.pinned ? PinOffIcon : PinIcon;
  const ArchiveToggle = item.archived ? ArchiveRestoreIcon : ArchiveIcon;
  return (
    <DropdownMenu modal={false}>
      <DropdownMenuTrigger asChild>
        <Button
          variant="ghost"
          size="icon-xs"
          aria-label={`Options of ${item.title}`}
          className="absolute top-0.5 right-1 opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 data-[state=open]:opacity-100 pointer-coarse:opacity-100"
        >
          <EllipsisIcon />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent
        align="start"
        onCloseAutoFocus={(event) => {
          // The focus goes back to the button, unless that is about to go.
          if (goOn.current === null) return;
          event.preventDefault();
          goOn.current();
          goOn.current = null;
        }}
      >
        <DropdownMenuItem
          onSelect={() => {
            goOn.current = onRename;
          }}
        >
          <PencilIcon />
          Rename
        </DropdownMenuItem>
        <DropdownMenuItem
          onSelect={() => {
            arrange(item, { pinned: !item.pinned }).catch(
              tellFailure("It could not be pinned or unpinned."),
            );
          }}
        >
          <PinToggle />
          {item.pinned ? "Unpin" : "Pin"}
        </DropdownMenuItem>
        <DropdownMenuItem onSelect={() => overlay.set({ kind: "tags", conversation: item })}>
          <TagIcon />
          Tags…
        </DropdownMenuItem>
        <DropdownMenuSeparator />
        <DropdownMenuItem onSelect={() => overlay.set({ kind: "share", conversation: item })}>
          <Share2Icon />
          Share…
        </DropdownMenuItem>
        <DropdownMenuItem asChild>
          <a href={`/api/conversations/${item.id}/export?format=markdown`} download>
            <FileTextIcon />
            Export as Markdown
          </a>
        </DropdownMenuItem>
        <DropdownMenuItem asChild>
          <a href={`/api/conversations/${item.id}/export?format=json`} download>
            <BracesIcon />
            Export as JSON
          </a>
        </DropdownMenuItem>
        <DropdownMenuSeparator />
        <DropdownMenuItem
          onSelect={() => {
            leave();
            archive(item, !item.archived);
          }}
        >
          <ArchiveToggle />
          {item.archived ? "Unarchive" : "Archive"}
        </DropdownMenuItem>
        <DropdownMenuItem
          className="text-destructive"
          onSelect={() => {
            leave();
            onDelete();
          }}
        >
          <Trash2Icon className="text-destructive" />
          Delete
        </DropdownMenuItem>
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
