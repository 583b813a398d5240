/** A user's conversations: as many as were scrolled to, filtered, arranged in place. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { LoadMore } from "@/components/load-more";
import { Button } from "@/components/ui/button";
import { sentence } from "@/lib/problem";
import { createStore, useStore } from "@/lib/store";
import type { ListFilter, View } from "./api";
import { ConversationRow, DeletedRow } from "./conversation-row";
import { Groups } from "./groups";
import { ListFilterMenu } from "./list-filter";
import { ListSkeleton } from "./list-skeleton";
import { itemsOf, listQuery, RECENT } from "./lists";
import { useKnownTags } from "./use-known-tags";

/** What is shown outlives the sheet of small screens, but not its owner. */
const chosen = createStore<{ owner_id: string; filter: ListFilter } | null>(null);

export function UserList({ owner_id }: { owner_id: string }) {
  const choice = useStore(chosen);
  const filter = choice?.owner_id === owner_id ? choice.filter : RECENT;
  const tags = useKnownTags();
  return (
    <>
      <ListFilterMenu
        filter={filter}
        tags={tags}
        onChange={(filter) => chosen.set({ owner_id, filter })}
      />
      <List filter={filter} />
    </>
  );
}

const EMPTY: Record<View, string> = {
  recent: "Your conversations will be here.",
  archived: "Nothing is archived.",
  deleted: "Nothing was deleted lately.",
};

function List({ filter }: { filter: ListFilter }) {
  const list = useInfiniteQuery({ ...listQuery(filter), select: itemsOf });
  if (list.isPending) return <ListSkeleton />;
  if (list.data === undefined) {
    return (
      <div className="space-y-2 px-3 py-2 text-sm text-muted-foreground" role="alert">
        <p>Your conversations could not be loaded. {sentence(list.error)}</p>
        <Button size="xs" variant="secondary" onClick={() => void list.refetch()}>
          Try again
        </Button>
      </div>
    );
  }
  return (
    <>
      <Groups
        items={list.data}
        empty={filter.tag === null ? EMPTY[filter.view] : `Nothing here is tagged ${filter.tag}.`}
        row={(item) =>
          filter.view === "deleted" ? <DeletedRow item={item} /> : <ConversationRow item={item} />
        }
      />
      <LoadMore list={list} label="Show older" />
    </>
  );
}
