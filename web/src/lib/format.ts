/** Numbers and times as a person reads them. Unknown is always an em dash, never zero. */

export const UNKNOWN = "—";

/** Seconds: `< 1 ms`, `3 ms`, `234 ms`, `1.23 s`, `12.3 s`, `2 m 05 s`. */
export function formatSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds > 0 && seconds < 0.0005) return "< 1 ms";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
}

/** Seconds on an axis, where the steps are round: `0`, `200 ms`, `1.5 s`, `2 m`. */
export function formatAxisSeconds(seconds: number): string {
  if (seconds === 0) return "0";
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  return `${Number((seconds / 60).toPrecision(3))} m`;
}

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export function formatCount(count: number | null | undefined): string {
  if (count === null || count === undefined) return UNKNOWN;
  return count < 10_000 ? WHOLE.format(count) : COMPACT.format(count);
}

/** Tokens of a context window as they are spoken of: `200K`, and `32K` for 32,768. */
export function formatWindow(tokens: number | null | undefined): string {
  if (tokens === null || tokens === undefined) return UNKNOWN;
  if (tokens < 1000) return WHOLE.format(tokens);
  if (tokens % 1000 === 0 || tokens % 1024 !== 0) return COMPACT.format(tokens);
  return tokens < 1024 * 1024 ? `${tokens / 1024}K` : `${COMPACT.format(tokens / 1024 / 1024)}M`;
}

/** Bytes, rounded up, so that what is over a limit never reads as the limit itself. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  const kib = bytes / 1024;
  if (kib <= 1023) return `${Math.ceil(kib)} KiB`;
  return `${Math.ceil((kib / 1024) * 10) / 10} MiB`;
}

/** US dollars of a price per million tokens: `$3`, `$2.50`, `$0.075`. */
export function formatPrice(price: string): string {
  const amount = Number(price);
  if (!Number.isFinite(amount)) return UNKNOWN;
  if (Number.isInteger(amount)) return `$${amount}`;
  const cents = amount.toFixed(2);
  return `$${Number(cents) === amount ? cents : Number(amount.toPrecision(3))}`;
}

/** A rate from 0 to 1 as per cent; a rate too small to show is still not nothing. */
export function formatRate(rate: number | null | undefined): string {
  if (rate === null || rate === undefined || !Number.isFinite(rate)) return UNKNOWN;
  if (rate === 0) return "0 %";
  const percent = rate * 100;
  if (percent < 0.1) return "< 0.1 %";
  return `${percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}

/** US dollars from the API's decimal text; small amounts keep two significant digits. */
export function formatCost(cost_usd: string | null | undefined): string {
  if (cost_usd === null || cost_usd === undefined) return UNKNOWN;
  const amount = Number(cost_usd);
  if (!Number.isFinite(amount)) return UNKNOWN;
  if (amount === 0) return "$0";
  if (amount < 0.000001) return "< $0.000001";
  if (amount >= 0.1) return `$${amount.toFixed(2)}`;
  return `$${Number(amount.toPrecision(2)).toFixed(Math.min(7, 1 - Math.floor(Math.log10(amount))))}`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const DAY_CLOCK = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

/** Local time; the day is named only when it is not today. */
export function formatTime(iso: string, now: Date = new Date()): string {
  const time = new Date(iso);
  return time.toDateString() === now.toDateString() ? CLOCK.format(time) : DAY_CLOCK.format(time);
}

/** `2026-11-21 15:40:02 UTC`, for tooltips. */
export function formatUtc(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export type AgeGroup = "Today" | "Yesterday" | "Previous 7 days" | "Older";

/** The sidebar's group of a conversation, by local days. */
export function ageGroup(iso: string, now: Date = new Date()): AgeGroup {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const time = new Date(iso);
  if (time >= midnight) return "Today";
  // Days are counted by the calendar: a day of 23 or 25 hours is still one day.
  const days_ago = (days: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  if (time >= days_ago(1)) return "Yesterday";
  if (time >= days_ago(7)) return "Previous 7 days";
  return "Older";
}

/** `1 message`, `2 messages`. */
export function plural(count: number, noun: string): string {
  return `${WHOLE.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}
