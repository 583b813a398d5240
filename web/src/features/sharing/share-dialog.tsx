/** The links to a conversation: one more of the branch shown, and those that are out there. */
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { LoaderCircleIcon } from "lucide-react";
import { type FormEvent, useId, useRef, useState } from "react";
import { ConfirmButton } from "@/components/confirm-button";
import { CopyButton } from "@/components/copy-button";
import { LoadMore } from "@/components/load-more";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { Notice } from "@/components/ui/notice";
import { Select } from "@/components/ui/select";
import { Skeleton } from "@/components/ui/skeleton";
import { FormProblem } from "@/features/auth/form";
import { useMe } from "@/features/auth/use-me";
import { closeOverlay } from "@/features/conversations/overlay-state";
import type { ConversationItem } from "@/lib/api";
import { plural } from "@/lib/format";
import { fieldErrors, sentence } from "@/lib/problem";
import { byCursor, queryClient } from "@/lib/query-client";
import { type CreatedShare, type NewShare, type Share, sharesApi } from "./api";
import { EXPIRIES, expiresAt, isExpired } from "./expiry";

type Shared = Pick<ConversationItem, "id" | "title">;

const sharesKey = (conversation_id: string) => ["shares", conversation_id] as const;

export function ShareDialog({ conversation }: { conversation: Shared }) {
  const [created, setCreated] = useState<CreatedShare | null>(null);
  return (
    <Dialog open onOpenChange={closeOverlay}>
      <DialogContent className="max-w-lg">
        <div className="min-w-0 space-y-1.5 pr-6">
          <DialogTitle className="truncate">Share “{conversation.title}”</DialogTitle>
          <DialogDescription>
            Anybody with the link may read the branch that is shown, as it is now. What is written
            later is not shared.
          </DialogDescription>
        </div>
        <NewLink conversation={conversation} onCreated={setCreated} />
        {created !== null && <CreatedLink key={created.id} share={created} />}
        <Links
          conversation={conversation}
          onRevoked={(id) => {
            if (id === null || id === created?.id) setCreated(null);
          }}
        />
      </DialogContent>
    </Dialog>
  );
}

const FIELDS = ["expires_at", "name"] as const;

function NewLink({
  conversation,
  onCreated,
}: {
  conversation: Shared;
  onCreated: (share: CreatedShare) => void;
}) {
  const id = useId();
  const me = useMe();
  const [expiry, setExpiry] = useState("");
  const [shows_name, setShowsName] = useState(false);
  const [name, setName] = useState("");
  const create = useMutation({
    mutationFn: (share: NewShare) => sharesApi.create(conversation.id, share),
    onSuccess: (share) => {
      onCreated(share);
      void queryClient.invalidateQueries({ queryKey: sharesKey(conversation.id) });
    },
  });
  const { fields, rest } = fieldErrors(create.error, FIELDS);
  const usual_name = me.data?.email?.split("@")[0] ?? "";

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    create.mutate({
      expires_at: expiresAt(expiry),
      show_name: shows_name,
      name: shows_name && name.trim() ? name.trim() : undefined,
    });
  };

  return (
    <form onSubmit={submit} className="space-y-3">
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2">
        <span className="flex items-center gap-2">
          <Label htmlFor={`${id}-expiry`} className="font-normal">
            Expires
          </Label>
          <Select
            id={`${id}-expiry`}
            value={expiry}
            onChange={(event) => setExpiry(event.target.value)}
          >
            {EXPIRIES.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </Select>
        </span>
        <Label className="flex cursor-pointer items-center gap-2 font-normal">
          <input
            type="checkbox"
            className="size-4 accent-primary"
            checked={shows_name}
            onChange={(event) => setShowsName(event.target.checked)}
          />
          Show my name
        </Label>
      </div>
      {fields.expires_at && <FieldError>{fields.expires_at}</FieldError>}
      {shows_name && (
        <div className="space-y-1.5">
          <Input
            aria-label="Name to show"
            placeholder={usual_name}
            maxLength={100}
            value={name}
            aria-invalid={fields.name !== undefined}
            onChange={(event) => setName(event.target.value)}
          />
          {fields.name && <FieldError>{fields.name}</FieldError>}
        </div>
      )}
      <FormProblem error={create.error} detail={rest} />
      <Button type="submit" disabled={create.isPending}>
        {create.isPending && <LoaderCircleIcon className="animate-spin" />}
        Create a link
      </Button>
    </form>
  );
}

function FieldError({ children }: { children: string }) {
  return (
    <p role="alert" className="text-xs text-destructive">
      {children}
    </p>
  );
}

function CreatedLink({ share }: { share: CreatedShare }) {
  const field = useRef<HTMLInputElement>(null);
  const url = new URL(share.path, window.location.origin).href;
  return (
    <div className="space-y-1.5 rounded-lg border bg-muted/40 p-3">
      <p role="status" className="text-sm">
        Copy the link now: it is not shown again.
      </p>
      <div className="flex items-center gap-1">
        <Input
          ref={field}
          readOnly
          aria-label="Link"
          value={url}
          onFocus={() => field.current?.select()}
          className="h-9 font-mono text-xs md:text-xs"
        />
        <CopyButton text={() => url} label="Copy link" />
      </div>
    </div>
  );
}

function Links({
  conversation,
  onRevoked,
}: {
  conversation: Shared;
  /** Given the link's id, or null when all are gone. */
  onRevoked: (id: string | null) => void;
}) {
  const queryKey = sharesKey(conversation.id);
  const list = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => sharesApi.list(conversation.id, pageParam, signal),
    ...byCursor,
    select: ({ pages }) => pages.flatMap((page) => page.items),
  });
  const revoke = useMutation({
    mutationFn: (id: string | null) =>
      id === null ? sharesApi.revokeAll(conversation.id) : sharesApi.revoke(conversation.id, id),
    onSuccess: async (_, id) => {
      onRevoked(id);
      await queryClient.invalidateQueries({ queryKey });
    },
  });

  if (list.isPending) return <Skeleton className="h-10" />;
  const failure = list.error ?? revoke.error;
  const links = list.data ?? [];
  if (links.length === 0 && failure === null) return null;
  return (
    <section className="min-w-0 space-y-2" aria-label="Links">
      <div className="flex min-h-7 items-center justify-between gap-2">
        <h2 className="text-sm font-medium text-muted-foreground">Links</h2>
        {links.length > 1 && (
          <ConfirmButton
            variant="ghost"
            size="xs"
            label="Revoke all"
            question="Revoke all for good?"
            disabled={revoke.isPending}
            onConfirm={() => revoke.mutate(null)}
          />
        )}
      </div>
      {failure !== null && (
        <Notice tone="destructive" role="alert">
          {sentence(failure)}
        </Notice>
      )}
      <ul className="divide-y rounded-lg border">
        {links.map((share) => (
          <li key={share.id} className="flex items-center gap-3 px-3 py-2 text-sm">
            <LinkFacts share={share} />
            <ConfirmButton
              variant="outline"
              size="xs"
              label="Revoke"
              aria-label={`Revoke the link ${share.token_hint}…`}
              question="Revoke for good?"
              disabled={revoke.isPending}
              onConfirm={() => revoke.mutate(share.id)}
            />
          </li>
        ))}
      </ul>
      <LoadMore list={list} label="Show older" />
    </section>
  );
}

function LinkFacts({ share }: { share: Share }) {
  const { token_hint, messages, shown_name, created_at, expires_at } = share;
  return (
    <div className="min-w-0 flex-1">
      <div className="flex items-center gap-2">
        <code className="truncate">{token_hint}…</code>
        {isExpired(expires_at) && <Badge variant="warning">Expired</Badge>}
      </div>
      <div className="text-xs text-muted-foreground">
        {plural(messages, "message")} · made <Time iso={created_at} />
        {expires_at !== null && !isExpired(expires_at) && (
          <>
            {" "}
            · until <Time iso={expires_at} />
          </>
        )}
        {shown_name !== null && ` · as ${shown_name}`}
      </div>
    </div>
  );
}
