/** Events that could not be kept: why, what was in them, another try, or none ever. */
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ConfirmButton } from "@/components/confirm-button";
import { CopyButton } from "@/components/copy-button";
import { LoadMore } from "@/components/load-more";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card, CardTitle } from "@/components/ui/card";
import { Notice } from "@/components/ui/notice";
import { Select } from "@/components/ui/select";
import { Sheet, SheetContent, SheetDescription, SheetTitle } from "@/components/ui/sheet";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { Confirm } from "@/features/account/confirm";
import { formatBytes, plural } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { byCursor, queryClient } from "@/lib/query-client";
import { tell } from "@/lib/toasts";
import { alertKeys, alertsApi, type DeadLetter, type DeadLetterItem } from "./api";

/** Milliseconds. */
const EVERY = 5_000;

function refresh() {
  void queryClient.invalidateQueries({ queryKey: alertKeys.queue });
  return queryClient.invalidateQueries({ queryKey: alertKeys.letters });
}

function useReplay() {
  return useMutation({
    mutationFn: alertsApi.replay,
    onSuccess: ({ asked }) => {
      tell({ text: `Ingestion tries ${plural(asked, "dead letter")} again.` });
      return refresh();
    },
    onError: (error) => tell({ text: sentence(error), tone: "destructive" }),
  });
}

function usePurge(done: () => void) {
  return useMutation({
    mutationFn: alertsApi.purge,
    onSuccess: ({ purged }) => {
      done();
      tell({ text: `${plural(purged, "dead letter")} purged.` });
      return refresh();
    },
  });
}

export function DeadLetters() {
  const [parked, setParked] = useState<boolean | null>(null);
  const [opened, setOpened] = useState<number | null>(null);
  const [purging, setPurging] = useState(false);
  const replay = useReplay();
  const purge = usePurge(() => setPurging(false));
  const list = useInfiniteQuery({
    queryKey: alertKeys.letterList(parked),
    queryFn: ({ pageParam, signal }) => alertsApi.letters(parked, pageParam, signal),
    ...byCursor,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 1) > 1 ? false : EVERY),
  });
  const items = list.data?.pages.flatMap((page) => page.items);

  return (
    <Card className="min-w-0 pb-1" aria-label="Dead letters that are kept">
      <div className="flex flex-wrap items-center gap-2 px-4 pt-3 pb-2 sm:px-5">
        <CardTitle>Dead letters</CardTitle>
        <Select
          aria-label="Which dead letters"
          value={String(parked)}
          onChange={({ currentTarget: { value } }) =>
            setParked(value === "null" ? null : value === "true")
          }
        >
          <option value="null">All</option>
          <option value="false">Without the parked</option>
          <option value="true">Parked alone</option>
        </Select>
        <span className="flex-1" />
        {items !== undefined && items.length > 0 && (
          <>
            <Button
              variant="outline"
              size="xs"
              disabled={replay.isPending}
              onClick={() => replay.mutate({ all: true })}
            >
              Replay all
            </Button>
            <Button
              variant="outline"
              size="xs"
              onClick={() => {
                purge.reset();
                setPurging(true);
              }}
            >
              Purge all…
            </Button>
          </>
        )}
      </div>
      {items === undefined ? (
        <div className="px-5 py-3">
          <Loading what="The dead letters" error={list.error} retry={() => void list.refetch()} />
        </div>
      ) : items.length === 0 ? (
        <p className="border-t px-5 py-10 text-center text-sm text-muted-foreground">
          {parked === null
            ? "Every event has arrived. What cannot be kept is listed here, with its reason."
            : "None of these."}
        </p>
      ) : (
        <Table>
          <caption className="sr-only">Dead letters, the newest first</caption>
          <thead>
            <tr>
              <TableHead>Last seen</TableHead>
              <TableHead>Reason</TableHead>
              <TableHead className="text-right">Attempts</TableHead>
              <TableHead className="hidden sm:table-cell">From</TableHead>
              <TableHead className="hidden text-right sm:table-cell">Size</TableHead>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <LetterRow key={item.id} item={item} onOpen={() => setOpened(item.id)} />
            ))}
          </tbody>
        </Table>
      )}
      <div className="px-2">
        <LoadMore list={list} label="Show older" />
      </div>
      <LetterSheet id={opened} onClose={() => setOpened(null)} />
      <Confirm
        open={purging}
        title="Purge all dead letters?"
        verb="Purge all"
        pending={purge.isPending}
        error={purge.error}
        onConfirm={() => purge.mutate({ all: true })}
        onClose={() => setPurging(false)}
      >
        The parked ones, too. Their calls will never be in the numbers.
      </Confirm>
    </Card>
  );
}

function LetterRow({ item, onOpen }: { item: DeadLetterItem; onOpen: () => void }) {
  return (
    <TableRow className="relative transition-colors hover:bg-accent/50">
      <TableCell>
        <button
          type="button"
          onClick={onOpen}
          aria-label={`Details of dead letter ${item.id}`}
          className="absolute inset-0 cursor-pointer outline-none focus-visible:ring-2 focus-visible:ring-ring focus-visible:ring-inset"
        />
        <Time iso={item.last_seen_at} className="relative cursor-default" />
      </TableCell>
      <TableCell className="max-w-48 sm:max-w-md">
        <span className="flex items-center gap-2">
          <span className="truncate">{item.reason}</span>
          <Marks item={item} />
        </span>
      </TableCell>
      <TableCell className="text-right">{item.attempts}</TableCell>
      <TableCell className="hidden sm:table-cell">{item.source}</TableCell>
      <TableCell className="hidden text-right sm:table-cell">{formatBytes(item.bytes)}</TableCell>
    </TableRow>
  );
}

function Marks({ item }: { item: DeadLetterItem }) {
  return (
    <>
      {item.schema_version !== null && <Badge>parked, version {item.schema_version}</Badge>}
      {item.replay_requested_at !== null && <Badge variant="warning">to be replayed</Badge>}
    </>
  );
}

function LetterSheet({ id, onClose }: { id: number | null; onClose: () => void }) {
  return (
    <Sheet open={id !== null} onOpenChange={(open) => !open && onClose()}>
      <SheetContent className="max-w-xl">
        {id !== null && <Letter key={id} id={id} onClose={onClose} />}
      </SheetContent>
    </Sheet>
  );
}

function Letter({ id, onClose }: { id: number; onClose: () => void }) {
  const letter = useQuery({
    queryKey: alertKeys.letter(id),
    queryFn: ({ signal }) => alertsApi.letter(id, signal),
  });
  const replay = useReplay();
  const purge = usePurge(onClose);
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <header className="space-y-1.5 border-b px-6 pt-5 pb-4">
        <SheetTitle className="pr-8 font-semibold tracking-tight">Dead letter {id}</SheetTitle>
        <SheetDescription className="text-sm text-muted-foreground">
          An event that could not be kept
        </SheetDescription>
      </header>
      <div className="min-h-0 flex-1 space-y-5 overflow-y-auto px-6 py-5">
        {letter.data === undefined ? (
          <Loading what="It" error={letter.error} retry={() => void letter.refetch()} />
        ) : (
          <Content letter={letter.data} />
        )}
        {purge.isError && (
          <Notice tone="destructive" role="alert">
            {sentence(purge.error)}
          </Notice>
        )}
      </div>
      <footer className="flex gap-2 border-t px-6 py-4">
        <Button
          variant="secondary"
          className="flex-1"
          disabled={replay.isPending}
          onClick={() => replay.mutate({ ids: [id] }, { onSuccess: onClose })}
        >
          Replay
        </Button>
        <ConfirmButton
          variant="outline"
          className="flex-1"
          label="Purge"
          question="Purge for good?"
          disabled={purge.isPending}
          onConfirm={() => purge.mutate({ ids: [id] })}
        />
      </footer>
    </div>
  );
}

function Content({ letter }: { letter: DeadLetter }) {
  return (
    <>
      <p className="rounded-lg border border-destructive/30 bg-destructive/8 p-3 text-sm break-words">
        {letter.reason}
      </p>
      <p className="flex flex-wrap gap-x-3 gap-y-1 text-sm text-muted-foreground">
        <span>
          first <Time iso={letter.first_seen_at} />
        </span>
        <span>
          last <Time iso={letter.last_seen_at} />
        </span>
        <span>{plural(letter.attempts, "attempt")}</span>
        <span>from the {letter.source}</span>
        <Marks item={letter} />
      </p>
      <section aria-label="Payload">
        <div className="mb-2 flex items-center justify-between">
          <h3 className="text-sm font-medium text-muted-foreground">Payload</h3>
          <CopyButton text={() => letter.payload} label="Copy payload" />
        </div>
        <pre className="max-h-96 overflow-auto rounded-lg border bg-background/60 p-3 text-xs leading-relaxed break-all whitespace-pre-wrap">
          {pretty(letter.payload)}
        </pre>
      </section>
    </>
  );
}

/** JSON with its lines apart; what is none, as it is. */
function pretty(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload;
  }
}
