/** One user in full: role, whether the account works, quotas. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { Sheet, SheetContent, SheetDescription, SheetTitle } from "@/components/ui/sheet";
import { ToggleGroup, ToggleGroupItem } from "@/components/ui/toggle-group";
import { Confirm } from "@/features/account/confirm";
import { QuotaMeter } from "@/features/account/usage-section";
import { sentence } from "@/lib/problem";
import { adminApi, adminKeys, type UserItem } from "./api";
import { QuotaForm } from "./quota-form";

interface UserSheetProps {
  user: UserItem | null;
  onChanged: (user: UserItem) => void;
  onClose: () => void;
}

export function UserSheet({ user, onChanged, onClose }: UserSheetProps) {
  return (
    <Sheet open={user !== null} onOpenChange={(open) => !open && onClose()}>
      <SheetContent>
        {user !== null && <Details key={user.id} user={user} onChanged={onChanged} />}
      </SheetContent>
    </Sheet>
  );
}

function Details({ user, onChanged }: { user: UserItem; onChanged: (user: UserItem) => void }) {
  const [confirming, setConfirming] = useState(false);
  const change = useMutation({ mutationFn: adminApi.change, onSuccess: onChanged });
  const disable = useMutation({
    mutationFn: adminApi.change,
    onSuccess: (changed) => {
      onChanged(changed);
      setConfirming(false);
    },
  });
  const is_disabled = user.disabled_at !== null;

  return (
    <div className="flex-1 space-y-7 overflow-y-auto p-6">
      <div className="space-y-1.5 pr-6">
        <SheetTitle className="text-lg leading-tight font-semibold break-words">
          {user.email}
        </SheetTitle>
        <SheetDescription className="flex flex-wrap items-center gap-2 text-sm text-muted-foreground">
          <span>
            Here since <Time iso={user.created_at} />
          </span>
          {user.email_verified_at !== null && <Badge>address confirmed</Badge>}
          {is_disabled && <Badge variant="destructive">disabled</Badge>}
        </SheetDescription>
      </div>

      {change.isError && (
        <Notice tone="destructive" role="alert">
          {sentence(change.error)}
        </Notice>
      )}

      <section className="space-y-2.5" aria-label="Role">
        <h2 className="text-sm font-medium">Role</h2>
        <ToggleGroup
          type="single"
          value={user.role}
          aria-label="Role"
          disabled={change.isPending}
          onValueChange={(role) => {
            // Pressing the current role again must not choose none.
            if (role === "user" || role === "admin") {
              change.mutate({ id: user.id, change: { role } });
            }
          }}
        >
          <ToggleGroupItem value="user">User</ToggleGroupItem>
          <ToggleGroupItem value="admin">Admin</ToggleGroupItem>
        </ToggleGroup>
        <p className="text-xs text-muted-foreground">
          Admins see everybody's numbers, and this page.
        </p>
      </section>

      <section className="space-y-2.5" aria-label="Account">
        <h2 className="text-sm font-medium">Account</h2>
        {is_disabled ? (
          <Button
            variant="outline"
            size="sm"
            disabled={change.isPending}
            onClick={() => change.mutate({ id: user.id, change: { disabled: false } })}
          >
            Enable the account
          </Button>
        ) : (
          <Button
            variant="outline"
            size="sm"
            onClick={() => {
              disable.reset();
              setConfirming(true);
            }}
          >
            Disable the account
          </Button>
        )}
        <p className="text-xs text-muted-foreground">
          {is_disabled
            ? "Nobody can sign in to it, and its keys rest."
            : "Disabled, nobody can sign in to it, its sessions end and its keys rest. Nothing is deleted."}
        </p>
      </section>

      <Quotas user={user} />

      <Confirm
        open={confirming}
        title={`Disable ${user.email}?`}
        verb="Disable"
        pending={disable.isPending}
        error={disable.error}
        onConfirm={() => disable.mutate({ id: user.id, change: { disabled: true } })}
        onClose={() => setConfirming(false)}
      >
        They are signed out everywhere, and their keys and links rest until the account is enabled.
      </Confirm>
    </div>
  );
}

function Quotas({ user }: { user: UserItem }) {
  const [editing, setEditing] = useState(false);
  const quota = useQuery({
    queryKey: adminKeys.quota(user.id),
    queryFn: ({ signal }) => adminApi.quota(user.id, signal),
  });
  return (
    <section className="space-y-3" aria-label="Quotas">
      <div className="flex items-center justify-between gap-3">
        <h2 className="text-sm font-medium">Quotas</h2>
        {quota.data && !editing && (
          <Button variant="outline" size="xs" onClick={() => setEditing(true)}>
            Change
          </Button>
        )}
      </div>
      {quota.data === undefined ? (
        <Loading what="The quotas" error={quota.error} retry={() => void quota.refetch()} />
      ) : editing ? (
        <QuotaForm user_id={user.id} quotas={quota.data.quotas} onClose={() => setEditing(false)} />
      ) : (
        <ul className="space-y-4">
          {quota.data.quotas.map((each) => (
            <QuotaMeter key={each.name} quota={each} />
          ))}
        </ul>
      )}
    </section>
  );
}
