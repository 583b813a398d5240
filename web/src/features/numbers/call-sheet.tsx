/** Everything that is known of one call, beside the page. */
import { Link } from "@tanstack/react-router";
import { ArrowRightIcon } from "lucide-react";
import type { ReactNode } from "react";
import { CopyButton } from "@/components/copy-button";
import { Loading } from "@/components/loading";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Sheet, SheetContent, SheetDescription, SheetTitle } from "@/components/ui/sheet";
import {
  formatCost,
  formatCount,
  formatSeconds,
  formatTime,
  formatUtc,
  plural,
} from "@/lib/format";
import type { Call } from "./api";
import { attemptsOf, COOLING } from "./attempts";
import { CallStatusBadge } from "./call-status";
import type { NumbersSearch } from "./search";
import { useCall } from "./use-numbers";

interface CallSheetProps {
  id: string | undefined;
  onChange: (change: Partial<NumbersSearch>) => void;
  onClose: () => void;
}

export function CallSheet({ id, onChange, onClose }: CallSheetProps) {
  return (
    <Sheet open={id !== undefined} onOpenChange={(open) => !open && onClose()}>
      <SheetContent>{id !== undefined && <Shown id={id} onChange={onChange} />}</SheetContent>
    </Sheet>
  );
}

function Shown({ id, onChange }: { id: string; onChange: CallSheetProps["onChange"] }) {
  const call = useCall(id);
  if (call.data !== undefined) return <Details call={call.data} onChange={onChange} />;
  return (
    <div className="space-y-4 p-6">
      <SheetTitle className="font-semibold tracking-tight">One call</SheetTitle>
      <SheetDescription className="sr-only">Everything that is known of it</SheetDescription>
      <Loading what="The call" error={call.error} retry={() => void call.refetch()} />
    </div>
  );
}

function Details({ call, onChange }: { call: Call; onChange: CallSheetProps["onChange"] }) {
  const about = call.usage_estimated ? "≈ " : "";
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <header className="space-y-1.5 border-b px-6 pt-5 pb-4">
        <SheetTitle className="flex items-center gap-2.5 pr-8 font-semibold tracking-tight">
          <span className="truncate">{call.request_model}</span>
          <CallStatusBadge status={call.status} />
        </SheetTitle>
        <SheetDescription className="text-sm text-muted-foreground">
          {formatTime(call.started_at)}, that is {formatUtc(call.started_at)}
        </SheetDescription>
      </header>
      <div className="min-h-0 flex-1 space-y-6 overflow-y-auto px-6 py-5">
        {call.error_message && (
          <p className="rounded-lg border border-destructive/30 bg-destructive/8 p-3 text-sm break-words">
            {call.error_message}
          </p>
        )}
        <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-2.5 text-sm tabular-nums">
          <Row name="Kind">{call.kind}</Row>
          <Row name="Provider">{call.provider_name}</Row>
          {call.response_model && call.response_model !== call.request_model && (
            <Row name="Answered by">{call.response_model}</Row>
          )}
          {call.fallback_from !== null && <Row name="Instead of">{call.fallback_from}</Row>}
          {call.error_type && (
            <Row name="Error">
              <span className="text-destructive">{call.error_type}</span>
            </Row>
          )}
          <Row name="Duration">{formatSeconds(call.duration)}</Row>
          <Row name="Time to first chunk">{formatSeconds(call.time_to_first_chunk)}</Row>
          <Row name="Time per chunk">{formatSeconds(call.time_per_output_chunk)}</Row>
          <Row name="Tokens in">
            {about}
            {formatCount(call.input_tokens)}
            {call.cache_read_input_tokens
              ? `, ${formatCount(call.cache_read_input_tokens)} from cache`
              : ""}
            {call.cache_write_input_tokens
              ? `, ${formatCount(call.cache_write_input_tokens)} to cache`
              : ""}
          </Row>
          <Row name="Tokens out">
            {about}
            {formatCount(call.output_tokens)}
            {call.reasoning_output_tokens
              ? `, ${formatCount(call.reasoning_output_tokens)} of reasoning`
              : ""}
          </Row>
          {call.omitted_messages > 0 && (
            <Row name="Left out">{plural(call.omitted_messages, "earlier message")}</Row>
          )}
          <Row name="Cost">
            {formatCost(call.cost_usd)}
            {call.unpriced ? " (this model has no known price)" : ""}
          </Row>
          {call.finish_reasons && call.finish_reasons.length > 0 && (
            <Row name="Finish reason">{call.finish_reasons.join(", ")}</Row>
          )}
          {call.cold_start && <Row name="Cold start">yes</Row>}
          <Row name="In the log after">
            {formatSeconds(
              // The clocks of two machines may differ.
              Math.max(
                0,
                (Date.parse(call.ingested_at) - Date.parse(call.started_at)) / 1000 -
                  (call.duration ?? 0),
              ),
            )}
          </Row>
          <IdRow name="Id" id={call.id} />
          <IdRow name="Request id" id={call.request_id} />
          <IdRow name="Provider's id" id={call.response_id} />
        </dl>
        {(call.attempts > 1 || call.failed_attempts.length > 0) && <Attempts call={call} />}
        <Preview title="Input" text={call.input_preview} />
        <Preview title="Output" text={call.output_preview} />
        {call.input_preview === null && call.output_preview === null && (
          <p className="text-xs text-muted-foreground">No previews of this call are kept.</p>
        )}
      </div>
      <Links call={call} onChange={onChange} />
    </div>
  );
}

function Links({ call, onChange }: { call: Call; onChange: CallSheetProps["onChange"] }) {
  const { conversation, conversation_id, message } = call;
  if (conversation_id === null) return null;
  return (
    <footer className="space-y-2 border-t px-6 py-4">
      {conversation !== null && (
        <Button variant="secondary" className="w-full" asChild>
          <Link
            to="/c/$conversationId"
            params={{ conversationId: conversation.id }}
            hash={message === null ? undefined : `m-${message.id}`}
          >
            Open the conversation
            <ArrowRightIcon />
          </Link>
        </Button>
      )}
      <Button
        variant="outline"
        className="w-full"
        onClick={() => onChange({ conversation_id, call: undefined })}
      >
        All calls of this conversation
      </Button>
    </footer>
  );
}

function IdRow({ name, id }: { name: string; id: string | null }) {
  if (id === null) return null;
  return (
    <Row name={name}>
      <span className="flex items-center justify-end gap-1">
        <code className="min-w-0 truncate text-xs">{id}</code>
        <CopyButton text={() => id} label={`Copy ${name.toLowerCase()}`} />
      </span>
    </Row>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted-foreground">{name}</dt>
      <dd className="min-w-0 text-right">{children}</dd>
    </>
  );
}

function Attempts({ call }: { call: Call }) {
  return (
    <section aria-labelledby="attempts">
      <h3 id="attempts" className="mb-2 text-sm font-medium text-muted-foreground">
        {plural(call.attempts, "attempt")}
      </h3>
      <ol className="divide-y rounded-lg border text-sm tabular-nums">
        {attemptsOf(call).map(({ model, error_type, duration }, index) => {
          // They are listed as they happened: their place is their identity.
          const key = `${model}-${index}`;
          return (
            <li key={key} className="flex items-center gap-3 px-3 py-2">
              <span className="min-w-0 flex-1 truncate">{model}</span>
              {error_type === null ? (
                <CallStatusBadge status={call.status} />
              ) : error_type === COOLING ? (
                <Badge>passed over</Badge>
              ) : (
                <Badge variant="destructive">{error_type}</Badge>
              )}
              {duration !== null && error_type !== COOLING && (
                <span className="text-muted-foreground">{formatSeconds(duration)}</span>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function Preview({ title, text }: { title: string; text: string | null }) {
  if (text === null || text === "") return null;
  return (
    <section>
      <h3 className="mb-2 text-sm font-medium text-muted-foreground">{title}</h3>
      <p className="max-h-72 overflow-y-auto rounded-lg border bg-background/60 p-3 text-sm leading-relaxed break-words whitespace-pre-wrap">
        {text}
      </p>
    </section>
  );
}
