/** Quotas in words, and as an admin's form holds them. */
import { formatCost, formatCount, UNKNOWN } from "@/lib/format";
import type { Quota, QuotaName } from "./api";

export const QUOTA_NAMES: Record<QuotaName, { title: string; unit: "tokens" | "usd" }> = {
  tokens_per_day: { title: "Tokens today", unit: "tokens" },
  tokens_per_month: { title: "Tokens this month", unit: "tokens" },
  usd_per_day: { title: "Cost today", unit: "usd" },
  usd_per_month: { title: "Cost this month", unit: "usd" },
};

export function amountOf(name: QuotaName, amount: number | string): string {
  return QUOTA_NAMES[name].unit === "usd"
    ? formatCost(String(amount))
    : formatCount(Number(amount));
}

/** What is used of a quota; unknown, not nothing, while no call had a price. */
export function usedOf({ name, used, unpriced_calls }: Quota): string {
  return unpriced_calls > 0 && Number(used) === 0 ? UNKNOWN : amountOf(name, used);
}

/** How much of a quota is used, from 0 to 1; null where it has no end. */
export function shareOf({ used, limit }: Quota): number | null {
  if (limit === null) return null;
  const [spent, allowed] = [Number(used), Number(limit)];
  return allowed === 0 ? 1 : Math.min(1, spent / allowed);
}

/** An admin's choice for one quota: as the settings say, without end, or an amount. */
export interface QuotaChoice {
  kind: "settings" | "unlimited" | "amount";
  amount: string;
}

export function choiceOf({ limit, own }: Quota): QuotaChoice {
  if (!own) return { kind: "settings", amount: limit === null ? "" : String(limit) };
  if (limit === null) return { kind: "unlimited", amount: "" };
  return { kind: "amount", amount: String(limit) };
}

/** What the API takes for a choice. An amount that is none goes as it is, to be refused there. */
export function givenOf(name: QuotaName, { kind, amount }: QuotaChoice): number | string | null {
  if (kind === "settings") return null;
  if (kind === "unlimited") return "unlimited";
  const text = amount.trim().replace(/[,\s_]/g, "");
  if (QUOTA_NAMES[name].unit === "usd") return text;
  return /^\d+$/.test(text) ? Number(text) : text;
}
