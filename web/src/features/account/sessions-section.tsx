/** Where one is signed in, and the way out there. */
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { LoadMore } from "@/components/load-more";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { authApi } from "@/features/auth/api";
import { useLeave } from "@/features/auth/use-me";
import { sentence } from "@/lib/problem";
import { byCursor, queryClient } from "@/lib/query-client";
import { accountApi, accountKeys, type SessionItem } from "./api";
import { Confirm } from "./confirm";
import { deviceName } from "./device";
import { Section } from "./section";

export function SessionsSection() {
  const list = useInfiniteQuery({
    queryKey: accountKeys.sessions,
    queryFn: ({ pageParam, signal }) => accountApi.sessions(pageParam, signal),
    ...byCursor,
  });
  const [leaving, setLeaving] = useState(false);
  const leave = useLeave(authApi.logoutEverywhere);
  const end = useMutation({
    mutationFn: accountApi.endSession,
    onSettled: () => queryClient.invalidateQueries({ queryKey: accountKeys.sessions }),
  });
  const items = list.data?.pages.flatMap((page) => page.items);

  return (
    <Section
      title="Sessions"
      about="The browsers you are signed in with."
      action={
        <Button variant="outline" size="sm" onClick={() => setLeaving(true)}>
          Sign out everywhere
        </Button>
      }
    >
      {end.isError && (
        <Notice tone="destructive" role="alert" className="mb-3">
          {sentence(end.error)}
        </Notice>
      )}
      {items === undefined ? (
        <Loading what="Your sessions" error={list.error} retry={() => void list.refetch()} />
      ) : (
        <ul className="divide-y">
          {items.map((session) => (
            <SessionRow
              key={session.id}
              session={session}
              pending={end.isPending && end.variables === session.id}
              onEnd={() => end.mutate(session.id)}
            />
          ))}
        </ul>
      )}
      <LoadMore list={list} label="Show older" />
      <Confirm
        open={leaving}
        title="Sign out everywhere?"
        verb="Sign out everywhere"
        pending={leave.isPending}
        error={leave.error}
        onConfirm={() => leave.mutate()}
        onClose={() => setLeaving(false)}
      >
        In every browser, this one too. API keys go on working.
      </Confirm>
    </Section>
  );
}

function SessionRow({
  session,
  pending,
  onEnd,
}: {
  session: SessionItem;
  pending: boolean;
  onEnd: () => void;
}) {
  const name = deviceName(session.user_agent);
  return (
    <li className="flex items-center justify-between gap-3 py-2.5 first:pt-0 last:pb-0">
      <div className="min-w-0 text-sm">
        <p className="flex items-center gap-2">
          <span className="truncate" title={session.user_agent ?? undefined}>
            {name}
          </span>
          {session.current && <Badge variant="success">This browser</Badge>}
        </p>
        <p className="text-xs text-muted-foreground">
          Since <Time iso={session.created_at} />, last used <Time iso={session.last_used_at} />
        </p>
      </div>
      {!session.current && (
        <Button
          variant="ghost"
          size="sm"
          disabled={pending}
          aria-label={`Sign out ${name}`}
          onClick={onEnd}
        >
          Sign out
        </Button>
      )}
    </li>
  );
}
