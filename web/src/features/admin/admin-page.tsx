/** The route `/admin`: the users, for those who administer. To anybody else it is not there. */
import { type InfiniteData, useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { LoadMore } from "@/components/load-more";
import { Loading } from "@/components/loading";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { Table, TableCell, TableHead, TableRow } from "@/components/ui/table";
import { useMe } from "@/features/auth/use-me";
import type { Page } from "@/lib/api";
import { byCursor, queryClient } from "@/lib/query-client";
import { AdminsOnly } from "./admins-only";
import { adminApi, adminKeys, type UserItem } from "./api";
import { UserSheet } from "./user-sheet";

export function AdminPage() {
  return (
    <AdminsOnly>
      <Users />
    </AdminsOnly>
  );
}

function Users() {
  const me = useMe();
  const list = useInfiniteQuery({
    queryKey: adminKeys.users,
    queryFn: ({ pageParam, signal }) => adminApi.users(pageParam, signal),
    ...byCursor,
  });
  const [opened_id, setOpened] = useState<string | null>(null);
  const items = list.data?.pages.flatMap((page) => page.items);
  const opened = items?.find(({ id }) => id === opened_id) ?? null;

  return (
    <div className="h-full overflow-y-auto">
      <title>Users · Tailrace</title>
      <div className="mx-auto max-w-5xl space-y-3 px-4 pt-5 pb-10 sm:px-6 sm:pt-6">
        <div className="pb-2">
          <h1 className="text-xl font-semibold tracking-tight">Users</h1>
          <p className="mt-0.5 text-sm text-muted-foreground">
            Everybody with an account here, the newest first.
          </p>
        </div>
        <Card className="py-2">
          {items === undefined ? (
            <div className="px-5 py-3">
              <Loading what="The users" error={list.error} retry={() => void list.refetch()} />
            </div>
          ) : (
            <Table>
              <thead>
                <tr>
                  <TableHead>Email</TableHead>
                  <TableHead>Role</TableHead>
                  <TableHead>State</TableHead>
                  <TableHead className="hidden sm:table-cell">Since</TableHead>
                </tr>
              </thead>
              <tbody>
                {items.map((user) => (
                  <UserRow
                    key={user.id}
                    user={user}
                    is_me={user.id === me.data?.id}
                    onOpen={() => setOpened(user.id)}
                  />
                ))}
              </tbody>
            </Table>
          )}
          <div className="px-2">
            <LoadMore list={list} label="Show older" />
          </div>
        </Card>
      </div>
      <UserSheet user={opened} onChanged={putUser} onClose={() => setOpened(null)} />
    </div>
  );
}

/** Puts a changed user into the list, where it stands. */
function putUser(user: UserItem): void {
  queryClient.setQueryData<InfiniteData<Page<UserItem>>>(
    adminKeys.users,
    (data) =>
      data && {
        ...data,
        pages: data.pages.map((page) => ({
          ...page,
          items: page.items.map((item) => (item.id === user.id ? user : item)),
        })),
      },
  );
}

function UserRow({ user, is_me, onOpen }: { user: UserItem; is_me: boolean; onOpen: () => void }) {
  return (
    <TableRow className="relative transition-colors hover:bg-accent/50">
      <TableCell className="max-w-40 sm:max-w-80">
        {/* The button covers its row: one target for the pointer, one stop for the keyboard. */}
        <button
          type="button"
          onClick={onOpen}
          aria-label={`Details of ${user.email}`}
          className="absolute inset-0 cursor-pointer outline-none focus-visible:ring-2 focus-visible:ring-ring focus-visible:ring-inset"
        />
        <span className="block truncate">
          {user.email}
          {is_me && <span className="text-muted-foreground"> (you)</span>}
        </span>
      </TableCell>
      <TableCell>
        {user.role === "admin" ? <Badge variant="success">admin</Badge> : "user"}
      </TableCell>
      <TableCell>
        {user.disabled_at !== null ? (
          <Badge variant="destructive">disabled</Badge>
        ) : (
          <span className="text-muted-foreground">active</span>
        )}
      </TableCell>
      <TableCell className="hidden text-muted-foreground sm:table-cell">
        <Time iso={user.created_at} className="relative cursor-default" />
      </TableCell>
    </TableRow>
  );
}
