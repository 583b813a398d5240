/** API keys: made, named, revoked. A key's secret is shown once, when it is made. */
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { PencilIcon, PlusIcon, Trash2Icon } from "lucide-react";
import { useState } from "react";
import { LoadMore } from "@/components/load-more";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Tooltip } from "@/components/ui/tooltip";
import { byCursor, queryClient } from "@/lib/query-client";
import { accountApi, accountKeys, type KeyItem } from "./api";
import { Confirm } from "./confirm";
import { NewKeyDialog, RenameKeyDialog } from "./key-dialogs";
import { Section } from "./section";

type Opened = { dialog: "new" } | { dialog: "rename" | "revoke"; key: KeyItem };

export function KeysSection({ is_admin }: { is_admin: boolean }) {
  const list = useInfiniteQuery({
    queryKey: accountKeys.keys,
    queryFn: ({ pageParam, signal }) => accountApi.keys(pageParam, signal),
    ...byCursor,
  });
  const [opened, setOpened] = useState<Opened | null>(null);
  const close = () => setOpened(null);
  const revoke = useMutation({
    mutationFn: accountApi.revokeKey,
    onSuccess: close,
    onSettled: () => queryClient.invalidateQueries({ queryKey: accountKeys.keys }),
  });
  const items = list.data?.pages.flatMap((page) => page.items);

  return (
    <Section
      title="API keys"
      about="What programs call with, in your name and within the scopes you give."
      action={
        <Button variant="outline" size="sm" onClick={() => setOpened({ dialog: "new" })}>
          <PlusIcon />
          New key
        </Button>
      }
    >
      {items === undefined ? (
        <Loading what="Your keys" error={list.error} retry={() => void list.refetch()} />
      ) : items.length === 0 ? (
        <p className="text-sm text-muted-foreground">You have no keys.</p>
      ) : (
        <ul className="divide-y">
          {items.map((key) => (
            <KeyRow
              key={key.id}
              item={key}
              onRename={() => setOpened({ dialog: "rename", key })}
              onRevoke={() => {
                revoke.reset();
                setOpened({ dialog: "revoke", key });
              }}
            />
          ))}
        </ul>
      )}
      <LoadMore list={list} label="Show older" />
      {opened?.dialog === "new" && <NewKeyDialog is_admin={is_admin} onClose={close} />}
      {opened?.dialog === "rename" && <RenameKeyDialog item={opened.key} onClose={close} />}
      {opened?.dialog === "revoke" && (
        <Confirm
          open
          title={`Revoke ${opened.key.name}?`}
          verb="Revoke"
          pending={revoke.isPending}
          error={revoke.error}
          onConfirm={() => revoke.mutate(opened.key.id)}
          onClose={close}
        >
          Whatever calls with it is refused from now on. This cannot be undone.
        </Confirm>
      )}
    </Section>
  );
}

function KeyRow({
  item,
  onRename,
  onRevoke,
}: {
  item: KeyItem;
  onRename: () => void;
  onRevoke: () => void;
}) {
  const is_expired = item.expires_at !== null && new Date(item.expires_at) <= new Date();
  return (
    <li className="flex items-start justify-between gap-3 py-3 first:pt-0 last:pb-0">
      <div className="min-w-0 space-y-1 text-sm">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="max-w-full truncate font-medium">{item.name}</span>
          <code className="text-xs text-muted-foreground">{item.prefix}…</code>
          {is_expired && <Badge variant="warning">Expired</Badge>}
        </p>
        <p className="flex flex-wrap gap-1">
          {item.scopes.map((scope) => (
            <Badge key={scope}>{scope}</Badge>
          ))}
        </p>
        <p className="text-xs text-muted-foreground">
          Made <Time iso={item.created_at} />,{" "}
          {item.last_used_at === null ? (
            "never used"
          ) : (
            <>
              last used <Time iso={item.last_used_at} />
            </>
          )}
          {item.expires_at !== null && (
            <>
              , {is_expired ? "expired" : "expires"} <Time iso={item.expires_at} />
            </>
          )}
        </p>
      </div>
      <div className="flex shrink-0">
        <Tooltip content="Rename">
          <Button
            variant="ghost"
            size="icon-sm"
            aria-label={`Rename ${item.name}`}
            onClick={onRename}
          >
            <PencilIcon />
          </Button>
        </Tooltip>
        <Tooltip content="Revoke">
          <Button
            variant="ghost"
            size="icon-sm"
            aria-label={`Revoke ${item.name}`}
            onClick={onRevoke}
          >
            <Trash2Icon />
          </Button>
        </Tooltip>
      </div>
    </li>
  );
}
