/** The sidebar's conversations, by age: a user's from the API, a guest's from this browser. */
import { infiniteQueryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { useMe } from "@/features/auth/use-me";
import { api, type ConversationItem } from "@/lib/api";
import { type AgeGroup, ageGroup } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { keys } from "@/lib/query-client";
import { useStore } from "@/lib/store";
import { guestConversations } from "./guest-storage";

const conversationsQuery = infiniteQueryOptions({
  queryKey: keys.conversations,
  queryFn: ({ pageParam, signal }) => api.conversations(pageParam, signal),
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.next_cursor,
});

/** The title of a conversation as the sidebar has it; none for a new one. */
export function useConversationTitle(id: string): string | undefined {
  const me = useMe();
  const guests = useStore(guestConversations);
  const listed = useInfiniteQuery({
    ...conversationsQuery,
    enabled: me.data?.kind === "user",
    select: ({ pages }) => pages.flatMap((page) => page.items).find((item) => item.id === id),
  });
  return me.data?.kind === "user"
    ? listed.data?.title
    : guests.find((conversation) => conversation.id === id)?.title;
}

export function ConversationList() {
  const me = useMe();
  if (me.data === undefined) return <ListSkeleton />;
  return me.data.kind === "user" ? <UserList /> : <GuestList />;
}

function UserList() {
  const list = useInfiniteQuery(conversationsQuery);
  if (list.isPending) return <ListSkeleton />;
  if (list.isError) {
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
      <Groups items={unique(list.data.pages.flatMap((page) => page.items))} />
      {list.hasNextPage && (
        <Button
          variant="ghost"
          size="sm"
          className="mt-1 w-full"
          disabled={list.isFetchingNextPage}
          onClick={() => void list.fetchNextPage()}
        >
          {list.isFetchingNextPage ? "Loading…" : "Show older"}
        </Button>
      )}
    </>
  );
}

function GuestList() {
  return <Groups items={useStore(guestConversations)} />;
}

type Item = Pick<ConversationItem, "id" | "title" | "updated_at"> &
  Partial<Pick<ConversationItem, "active_run_id">>;

/** A conversation that moved up between two pages would be listed twice. */
function unique(items: ConversationItem[]): ConversationItem[] {
  return [...new Map(items.map((item) => [item.id, item])).values()];
}

function Groups({ items }: { items: Item[] }) {
  if (items.length === 0) {
    return (
      <p className="px-3 py-2 text-sm text-muted-foreground">Your conversations will be here.</p>
    );
  }
  const groups = new Map<AgeGroup, Item[]>();
  for (const item of items) {
    const group = ageGroup(item.updated_at);
    groups.set(group, [...(groups.get(group) ?? []), item]);
  }
  return [...groups].map(([group, members]) => (
    <section key={group} className="mb-4">
      <h2 className="px-3 pb-1 text-xs font-medium text-muted-foreground">{group}</h2>
      <ul>
        {members.map((item) => (
          <li key={item.id}>
            <Link
              to="/c/$conversationId"
              params={{ conversationId: item.id }}
              className="flex items-center gap-2 rounded-md px-3 py-1.5 text-sm text-foreground/80 outline-none hover:bg-accent/60 hover:text-foreground focus-visible:ring-2 focus-visible:ring-ring"
              activeProps={{ className: "bg-accent text-foreground", "aria-current": "page" }}
            >
              <span className="min-w-0 flex-1 truncate">{item.title}</span>
              {item.active_run_id && (
                <span
                  role="img"
                  aria-label="Answering"
                  className="size-1.5 shrink-0 animate-pulse rounded-full bg-primary"
                />
              )}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  ));
}

function ListSkeleton() {
  return (
    <div className="space-y-2.5 px-3 py-2">
      {[70, 55, 80, 45].map((width) => (
        <Skeleton key={width} className="h-4" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
