/** Requests of an admin about the users. */
import type { QuotaName, UsageOfUser } from "@/features/account/api";
import { get, type Page, query, send } from "@/lib/api";

export interface UserItem {
  id: string;
  email: string;
  role: "user" | "admin";
  created_at: string;
  email_verified_at: string | null;
  disabled_at: string | null;
}

export interface UserChange {
  role?: UserItem["role"];
  disabled?: boolean;
}

/** Null goes by the settings. */
export type GivenQuotas = Record<QuotaName, number | string | null>;

export const adminKeys = {
  users: ["admin", "users"] as const,
  quota: (id: string) => ["admin", "quota", id] as const,
};

export const adminApi = {
  users: (cursor: string | null, signal?: AbortSignal) =>
    get<Page<UserItem>>(`/api/admin/users${query({ limit: 50, cursor })}`, signal),
  change: async ({ id, change }: { id: string; change: UserChange }): Promise<UserItem> =>
    (await send("PATCH", `/api/admin/users/${id}`, change)).json(),
  quota: (id: string, signal?: AbortSignal) =>
    get<UsageOfUser>(`/api/admin/users/${id}/quota`, signal),
  putQuota: async (id: string, given: GivenQuotas): Promise<UsageOfUser> =>
    (await send("PUT", `/api/admin/users/${id}/quota`, given)).json(),
};
