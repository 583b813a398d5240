/**
 * The routes `/` and `/c/$conversationId`: finds the session and the history to show. One
 * component for both, so that a new chat keeps its composer when it gets an address of its own.
 */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { Busy } from "@/components/loading";
import { PageMessage } from "@/components/page-message";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { useMe } from "@/features/auth/use-me";
import { api, isFinal, type Me } from "@/lib/api";
import { isId } from "@/lib/ids";
import { sentence } from "@/lib/problem";
import { keys } from "@/lib/query-client";
import { useStore } from "@/lib/store";
import { ChatView } from "./chat-view";
import type { Session } from "./session";
import { draftId, renewDraft, sessionFor } from "./sessions";

export function ChatPage() {
  const me = useMe();
  if (me.isPending) return <HistorySkeleton />;
  if (me.isError) {
    return (
      <PageMessage title="Tailrace cannot be reached" detail={sentence(me.error)}>
        <Button onClick={() => void me.refetch()}>Try again</Button>
      </PageMessage>
    );
  }
  return <OwnedChatPage key={me.data.id} me={me.data} />;
}

function OwnedChatPage({ me }: { me: Me }) {
  const { conversationId } = useParams({ strict: false });
  const draft = useStore(draftId);
  const id = conversationId ?? draft;
  const session = useMemo(() => sessionFor(id), [id]);
  useAddress(session, conversationId === undefined);

  if (conversationId === undefined) return <ChatView session={session} />;
  if (!isId(conversationId)) return <NoSuchConversation kind={me.kind} />;
  if (me.kind === "user") return <UserConversation session={session} />;
  // What this browser holds of a guest was put into the session when it was made.
  return session.state.get().started ? (
    <ChatView session={session} />
  ) : (
    <NoSuchConversation kind="guest" />
  );
}

/** Moves a new chat from `/` to its own address once the server has taken its first message. */
function useAddress(session: Session, is_draft: boolean): void {
  const navigate = useNavigate();
  const { started } = useStore(session.state);
  useEffect(() => {
    if (!is_draft || !started) return;
    void navigate({
      to: "/c/$conversationId",
      params: { conversationId: session.id },
      replace: true,
    }).then(() => renewDraft(session.id));
  }, [is_draft, started, session, navigate]);
}

function UserConversation({ session }: { session: Session }) {
  const { started } = useStore(session.state);
  const history = useQuery({
    queryKey: keys.conversation(session.id),
    queryFn: async ({ signal }) => {
      const { turn } = session;
      return { turn, conversation: await api.conversation(session.id, signal) };
    },
    // The chat view looks for news, and asks for all of it only where there is some.
    refetchOnWindowFocus: false,
  });

  useEffect(() => {
    if (history.data) session.open(history.data.conversation, history.data.turn);
  }, [history.data, session]);

  if (started) return <ChatView session={session} />;
  if (history.isError) {
    return isFinal(history.error) ? (
      <NoSuchConversation kind="user" />
    ) : (
      <PageMessage title="This conversation could not be loaded" detail={sentence(history.error)}>
        <Button onClick={() => void history.refetch()}>Try again</Button>
      </PageMessage>
    );
  }
  return <HistorySkeleton />;
}

function NoSuchConversation({ kind }: { kind: Me["kind"] }) {
  return (
    <PageMessage
      title="There is no such conversation here"
      detail={
        kind === "guest"
          ? "A guest's conversations stay in the browser they were held in. Sign in if this one is yours."
          : "It does not exist, or it belongs to somebody else."
      }
    >
      <Button asChild>
        <Link to="/">New chat</Link>
      </Button>
    </PageMessage>
  );
}

function HistorySkeleton() {
  return (
    <Busy className="mx-auto w-full max-w-3xl space-y-7 px-6 pt-8">
      <Skeleton className="ml-auto h-11 w-2/5 rounded-2xl" />
      <div className="space-y-3">
        <Skeleton className="h-4 w-full" />
        <Skeleton className="h-4 w-11/12" />
        <Skeleton className="h-4 w-3/5" />
      </div>
    </Busy>
  );
}
