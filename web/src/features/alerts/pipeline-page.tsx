/** The route `/numbers/pipeline`: how far events are on their way, and those that did not arrive. */
import { useQuery } from "@tanstack/react-query";
import { Loading } from "@/components/loading";
import { Card, CardTitle } from "@/components/ui/card";
import { Notice } from "@/components/ui/notice";
import { AdminsOnly } from "@/features/admin/admins-only";
import { NumbersFrame } from "@/features/numbers/numbers-frame";
import { formatCount, formatSeconds } from "@/lib/format";
import { cn } from "@/lib/utils";
import { alertKeys, alertsApi, type QueueStatus } from "./api";
import { DeadLetters } from "./dead-letters";

/** Milliseconds. */
const EVERY = 5_000;
/** Seconds after which a call that is not in the log yet is late. */
const LATE = 60;

export function PipelinePage() {
  return (
    <AdminsOnly>
      <NumbersFrame
        title="Pipeline"
        is_admin
        about={<p>How calls come into the numbers: through the queue, by ingestion.</p>}
      >
        <Queue />
        <DeadLetters />
      </NumbersFrame>
    </AdminsOnly>
  );
}

function Queue() {
  const queue = useQuery({
    queryKey: alertKeys.queue,
    queryFn: ({ signal }) => alertsApi.queue(signal),
    refetchInterval: EVERY,
  });
  if (queue.data === undefined) {
    return <Loading what="The queue" error={queue.error} retry={() => void queue.refetch()} />;
  }
  return <Figures status={queue.data} />;
}

function Figures({ status }: { status: QueueStatus }) {
  const { depth, oldest_age, lag, spilled, dead, parked } = status;
  const figures: { title: string; value: string; about: string; bad?: boolean }[] = [
    { title: "In the queue", value: formatCount(depth), about: "events that wait" },
    {
      title: "Oldest in the queue",
      value: formatSeconds(oldest_age),
      about: "since it was published",
      bad: (oldest_age ?? 0) > LATE,
    },
    {
      title: "Ingestion lag",
      value: formatSeconds(lag),
      about: "since the oldest call that is not in the log",
      bad: lag > LATE,
    },
    {
      title: "Spilled",
      value: formatCount(spilled),
      about: "in the outbox, while the queue was full or down",
    },
    { title: "Dead letters", value: formatCount(dead), about: "could not be kept", bad: dead > 0 },
    { title: "Parked", value: formatCount(parked), about: "of a newer release" },
  ];
  return (
    <section aria-label="Queue" className="space-y-3">
      {!status.available && (
        <Notice tone="warning" role="status">
          The queue does not answer. Chats go on, and their events wait in the outbox.
        </Notice>
      )}
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-3 xl:grid-cols-6">
        {figures.map(({ title, value, about, bad }) => (
          <Card key={title} className="min-w-0 px-4 py-3.5" aria-label={title}>
            <CardTitle>{title}</CardTitle>
            <p
              className={cn(
                "mt-1 truncate text-xl font-semibold tracking-tight tabular-nums",
                bad && "text-destructive",
              )}
            >
              {value}
            </p>
            <p className="mt-0.5 text-xs text-muted-foreground">{about}</p>
          </Card>
        ))}
      </div>
    </section>
  );
}
