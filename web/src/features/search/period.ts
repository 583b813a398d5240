/** When what is searched for was written, by local days. */

export const PERIODS = {
  any: "Any time",
  today: "Today",
  week: "Past 7 days",
  month: "Past 30 days",
  year: "Past year",
  between: "Between…",
} as const;

export type Period = keyof typeof PERIODS;

export interface Between {
  /** `2026-11-21`, as date fields have it; empty for no limit. */
  first: string;
  last: string;
}

const DAYS_BACK: Partial<Record<Period, number>> = { today: 0, week: 7, month: 30, year: 365 };

/**
 * The moments between which a period lies, for the API; null for no limit. They move once a day, so
 * that the same search stays the same request.
 */
export function momentsOf(
  period: Period,
  { first, last }: Between,
  now: Date = new Date(),
): { from: string | null; to: string | null } {
  if (period === "between") return { from: midnight(first, 0), to: midnight(last, 1) };
  const days = DAYS_BACK[period];
  if (days === undefined) return { from: null, to: null };
  const start = new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  return { from: start.toISOString(), to: null };
}

/** The beginning of a local day, or of one some days after it. */
function midnight(date: string, days_later: number): string | null {
  const [year, month, day] = date.split("-").map(Number);
  if (!year || !month || !day) return null;
  const start = new Date(2000, month - 1, day + days_later);
  // The constructor takes years below 100 for those of the last century.
  start.setFullYear(year, month - 1, day + days_later);
  return start.toISOString();
}

/** True for days that leave nothing between them. */
export function isBackwards({ first, last }: Between): boolean {
  return first !== "" && last !== "" && first > last;
}
