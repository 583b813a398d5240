/** Which conversations the list shows: the recent, archived or deleted ones, and of which tag. */
import { ChevronDownIcon, XIcon } from "lucide-react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuLabel,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import type { ListFilter, View } from "./api";

const VIEWS: Record<View, string> = {
  recent: "Recent",
  archived: "Archived",
  deleted: "Deleted",
};

const ANY_TAG = "";

interface ListFilterProps {
  filter: ListFilter;
  tags: string[];
  onChange: (filter: ListFilter) => void;
}

export function ListFilterMenu({ filter, tags, onChange }: ListFilterProps) {
  const { view, tag } = filter;
  return (
    <div className="flex items-center gap-1 px-1 pb-2">
      <DropdownMenu modal={false}>
        <DropdownMenuTrigger asChild>
          <Button
            variant="ghost"
            size="xs"
            className="min-w-0 font-normal"
            aria-label={`Conversations shown: ${VIEWS[view]}${tag === null ? "" : `, tag ${tag}`}`}
          >
            <span className="truncate">{VIEWS[view]}</span>
            <ChevronDownIcon className="size-3.5!" />
          </Button>
        </DropdownMenuTrigger>
        <DropdownMenuContent align="start" className="max-w-64">
          <DropdownMenuRadioGroup
            aria-label="Conversations"
            value={view}
            onValueChange={(value) => onChange({ ...filter, view: value as View })}
          >
            {Object.entries(VIEWS).map(([value, label]) => (
              <DropdownMenuRadioItem key={value} value={value}>
                {label}
              </DropdownMenuRadioItem>
            ))}
          </DropdownMenuRadioGroup>
          {tags.length > 0 && (
            <>
              <DropdownMenuSeparator />
              <DropdownMenuLabel>Tag</DropdownMenuLabel>
              <DropdownMenuRadioGroup
                aria-label="Tag"
                value={tag ?? ANY_TAG}
                onValueChange={(value) => onChange({ ...filter, tag: value || null })}
              >
                <DropdownMenuRadioItem value={ANY_TAG}>Any</DropdownMenuRadioItem>
                {tags.map((name) => (
                  <DropdownMenuRadioItem key={name} value={name}>
                    <span className="min-w-0 truncate">{name}</span>
                  </DropdownMenuRadioItem>
                ))}
              </DropdownMenuRadioGroup>
            </>
          )}
        </DropdownMenuContent>
      </DropdownMenu>
      {tag !== null && (
        <Button
          variant="secondary"
          size="xs"
          className="min-w-0 shrink font-normal"
          aria-label={`No longer only tag ${tag}`}
          onClick={() => onChange({ ...filter, tag: null })}
        >
          <span className="truncate">#{tag}</span>
          <XIcon className="size-3!" />
        </Button>
      )}
    </div>
  );
}
