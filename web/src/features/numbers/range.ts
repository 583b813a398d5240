/** The spans of time that the numbers page can show. */
import { formatTime } from "@/lib/format";

export const RANGES = {
  "15m": { label: "15 min", seconds: 15 * 60, words: "the last 15 minutes" },
  "1h": { label: "1 h", seconds: 3_600, words: "the last hour" },
  "6h": { label: "6 h", seconds: 6 * 3_600, words: "the last 6 hours" },
  "24h": { label: "24 h", seconds: 86_400, words: "the last 24 hours" },
  "7d": { label: "7 d", seconds: 7 * 86_400, words: "the last 7 days" },
  "30d": { label: "30 d", seconds: 30 * 86_400, words: "the last 30 days" },
  "90d": { label: "90 d", seconds: 90 * 86_400, words: "the last 90 days" },
} as const;

/** A span that ends now. */
export type Preset = keyof typeof RANGES;
/** `custom` lies between two moments. */
export type Range = Preset | "custom";

export const DEFAULT_RANGE: Range = "1h";

/** Days of the longest span that the server reads. */
const MOST_DAYS = 366;

export interface Chosen {
  range: Range;
  /** Of `custom` alone, as RFC 3339 in UTC. */
  from?: string;
  to?: string;
}

export interface Span {
  from: Date;
  to: Date;
}

export function isPreset(value: unknown): value is Preset {
  return typeof value === "string" && Object.hasOwn(RANGES, value);
}

/** The moments between which a range lies now. */
export function spanOf({ range, from, to }: Chosen, now: Date): Span {
  if (range === "custom") return { from: new Date(from ?? now), to: new Date(to ?? now) };
  return { from: new Date(now.getTime() - RANGES[range].seconds * 1000), to: now };
}

export function wordsOf({ range, from, to }: Chosen): string {
  if (range !== "custom") return RANGES[range].words;
  return `${formatTime(from ?? "")} to ${formatTime(to ?? "")}`;
}

/** What is wrong with two moments as a range; null where nothing is. */
export function problemOf({ from, to }: Span): { field: "from" | "to"; detail: string } | null {
  if (Number.isNaN(from.getTime())) return { field: "from", detail: "When does it begin?" };
  if (Number.isNaN(to.getTime())) return { field: "to", detail: "When does it end?" };
  if (from >= to) return { field: "to", detail: "Must be after the beginning." };
  if (to.getTime() - from.getTime() > MOST_DAYS * 86_400_000) {
    return { field: "from", detail: `At most ${MOST_DAYS} days can be shown.` };
  }
  return null;
}

/** Milliseconds between two looks at a range; false for one that no longer changes. */
export function refreshEvery({ range }: Chosen): number | false {
  if (range === "custom") return false;
  const { seconds } = RANGES[range];
  // Of days, seconds make no difference that can be seen.
  if (seconds <= RANGES["1h"].seconds) return 4_000;
  return seconds <= RANGES["24h"].seconds ? 10_000 : 30_000;
}

/** `2026-11-21T15:40`, local time, as the browser's own fields have it. */
export function toField(moment: Date): string {
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
