/** `/shared/$token`: a branch of somebody's conversation, to be read by whoever has the link. */
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { Busy } from "@/components/loading";
import { Logo } from "@/components/logo";
import { PageMessage } from "@/components/page-message";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { TooltipProvider } from "@/components/ui/tooltip";
import { isFinal } from "@/lib/api";
import { ProblemError, sentence } from "@/lib/problem";
import { type SharedConversation, sharesApi } from "./api";
import { SharedMessages } from "./shared-messages";

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

export function SharedPage() {
  const { token } = useParams({ from: "/shared/$token" });
  const shared = useQuery({
    queryKey: ["shared", token],
    queryFn: ({ signal }) => sharesApi.read(token, signal),
    // It is a picture of one moment: only that it was revoked could be news.
    refetchOnWindowFocus: false,
  });
  return (
    <TooltipProvider delayDuration={400}>
      <div className="h-dvh overflow-y-auto">
        <header className="flex h-14 items-center border-b px-4 sm:px-6">
          <Link
            to="/"
            className="flex items-center gap-2.5 rounded-md font-semibold tracking-tight outline-none focus-visible:ring-2 focus-visible:ring-ring"
          >
            <Logo className="size-5 text-primary" />
            Tailrace
          </Link>
        </header>
        <main className="mx-auto w-full max-w-3xl px-4 sm:px-6">
          {shared.isPending ? (
            <BranchSkeleton />
          ) : shared.data === undefined ? (
            <Unreadable error={shared.error} onRetry={() => void shared.refetch()} />
          ) : (
            <Branch shared={shared.data} />
          )}
        </main>
      </div>
    </TooltipProvider>
  );
}

function Branch({ shared }: { shared: SharedConversation }) {
  const { title, shared_by, created_at, expires_at, messages } = shared;
  return (
    <>
      <title>{`${title} · Tailrace`}</title>
      <div className="space-y-1 pt-8">
        <h1 className="text-2xl font-semibold tracking-tight text-balance break-words">{title}</h1>
        <p className="text-sm text-muted-foreground">
          {shared_by === null ? "Shared" : `Shared by ${shared_by}`} on{" "}
          <time dateTime={created_at}>{DATE.format(new Date(created_at))}</time>, as it was then
          {expires_at !== null && (
            <>
              . To be read until{" "}
              <time dateTime={expires_at}>{DATE.format(new Date(expires_at))}</time>
            </>
          )}
          .
        </p>
      </div>
      <SharedMessages messages={messages} />
    </>
  );
}

function Unreadable({ error, onRetry }: { error: Error | null; onRetry: () => void }) {
  const is_gone = isFinal(error);
  const has_expired = error instanceof ProblemError && error.status === 410;
  // A link that was revoked is told from one that never was to nobody but its owner.
  const [title, detail] = has_expired
    ? ["This link has run out", "Whoever gave it to you can make a new one."]
    : is_gone
      ? [
          "This link leads nowhere",
          "It may have been revoked, or something in it was mistyped. Whoever gave it to you can make a new one.",
        ]
      : ["This conversation could not be loaded", sentence(error)];
  return (
    <PageMessage title={title} detail={detail} className="pt-[20dvh]">
      <title>{`${title} · Tailrace`}</title>
      {is_gone ? (
        <Button asChild>
          <Link to="/">To Tailrace</Link>
        </Button>
      ) : (
        <Button onClick={onRetry}>Try again</Button>
      )}
    </PageMessage>
  );
}

function BranchSkeleton() {
  return (
    <Busy className="space-y-4 pt-8">
      <Skeleton className="h-8 w-2/3" />
      <Skeleton className="ml-auto h-11 w-2/5 rounded-2xl" />
      <Skeleton className="h-4 w-full" />
      <Skeleton className="h-4 w-4/5" />
    </Busy>
  );
}
