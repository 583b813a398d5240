/** How long a link may be good for. */

export const EXPIRIES = [
  { value: "", label: "Never", days: null },
  { value: "1", label: "After a day", days: 1 },
  { value: "7", label: "After a week", days: 7 },
  { value: "30", label: "After 30 days", days: 30 },
  { value: "365", label: "After a year", days: 365 },
] as const;

const DAY = 86_400_000;

/** The moment at which a link made now runs out; null for never. */
export function expiresAt(value: string, now: Date = new Date()): string | null {
  const days = EXPIRIES.find((expiry) => expiry.value === value)?.days ?? null;
  return days === null ? null : new Date(now.getTime() + days * DAY).toISOString();
}

export function isExpired(expires_at: string | null, now: Date = new Date()): boolean {
  return expires_at !== null && new Date(expires_at) <= now;
}
