/** The spans of time that the numbers page can show. */
export const RANGES = {
  "15m": { label: "15 min", seconds: 15 * 60, words: "the last 15 minutes" },
  "1h": { label: "1 h", seconds: 3_600, words: "the last hour" },
  "24h": { label: "24 h", seconds: 86_400, words: "the last 24 hours" },
  "7d": { label: "7 d", seconds: 7 * 86_400, words: "the last 7 days" },
  "30d": { label: "30 d", seconds: 30 * 86_400, words: "the last 30 days" },
} as const;

export type Range = keyof typeof RANGES;

export const DEFAULT_RANGE: Range = "1h";

export function isRange(value: unknown): value is Range {
  return typeof value === "string" && Object.hasOwn(RANGES, value);
}

/** When a range that ends now begins. */
export function startOf(range: Range, now: Date): Date {
  return new Date(now.getTime() - RANGES[range].seconds * 1000);
}
