/** The sidebar's conversations, by age: a user's from the API, a guest's from this browser. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useMe } from "@/features/auth/use-me";
import { ConversationLink } from "@/features/conversations/conversation-row";
import { Groups } from "@/features/conversations/groups";
import { ListSkeleton } from "@/features/conversations/list-skeleton";
import {
  ARCHIVED,
  itemsOf,
  type ListData,
  listQuery,
  RECENT,
} from "@/features/conversations/lists";
import { UserList } from "@/features/conversations/user-list";
import type { Conversation } from "@/lib/api";
import { keys, queryClient } from "@/lib/query-client";
import { useStore } from "@/lib/store";
import { guestConversations } from "./guest-storage";

/** The title of a conversation, as far as the page knows it; none for a new one. */
export function useConversationTitle(id: string): string | undefined {
  const me = useMe();
  const guests = useStore(guestConversations);
  const is_user = me.data?.kind === "user";
  const select = (data: ListData) => itemsOf(data).find((item) => item.id === id)?.title;
  const recent = useInfiniteQuery({ ...listQuery(RECENT), enabled: is_user, select });
  const archived = useInfiniteQuery({ ...listQuery(ARCHIVED), enabled: false, select });
  if (!is_user) return guests.find((conversation) => conversation.id === id)?.title;
  return recent.data ?? archived.data ?? openedTitle(id);
}

/** The title of a conversation too old for the pages of the list that are loaded. */
function openedTitle(id: string): string | undefined {
  const opened = queryClient.getQueryData<{ conversation: Conversation }>(keys.conversation(id));
  return opened?.conversation.title;
}

export function ConversationList() {
  const me = useMe();
  if (me.data === undefined) return <ListSkeleton />;
  return me.data.kind === "user" ? <UserList owner_id={me.data.id} /> : <GuestList />;
}

function GuestList() {
  return (
    <Groups
      items={useStore(guestConversations)}
      empty="Your conversations will be here."
      row={(item) => (
        <li>
          <ConversationLink item={item} />
        </li>
      )}
    />
  );
}
