/** How a figure compares with the same of the period before. */

/** What more of a figure means: nothing by itself, or that things have become worse. */
export type More = "neutral" | "worse";

export interface Change {
  /** `+12 %`, `−0.4 points`, `as before`. */
  text: string;
  tone: "neutral" | "better" | "worse";
}

/** Changes that are no more than noise have no tone. */
const NOTABLE = 0.05;

/** The change of an amount; null where one of the two is not known, or there was none before. */
export function changeOf(
  now: number | null | undefined,
  before: number | null | undefined,
  more: More,
): Change | null {
  if (now === null || now === undefined || before === null || before === undefined) return null;
  if (before === 0) return now === 0 ? AS_BEFORE : null;
  const share = now / before - 1;
  if (Math.abs(share) < 0.0005) return AS_BEFORE;
  const text = share >= 9.995 ? `×${Math.round(share + 1)}` : signed(share * 100, "%");
  return { text, tone: Math.abs(share) < NOTABLE ? "neutral" : toneOf(share, more) };
}

/** The change of a rate from 0 to 1, in percentage points. */
export function changeOfRate(now: number, before: number, more: More): Change {
  const points = (now - before) * 100;
  if (Math.abs(points) < 0.05) return AS_BEFORE;
  return { text: signed(points, "points"), tone: toneOf(points, more) };
}

const AS_BEFORE: Change = { text: "as before", tone: "neutral" };

function toneOf(change: number, more: More): Change["tone"] {
  if (more === "neutral") return "neutral";
  return change > 0 ? "worse" : "better";
}

function signed(amount: number, unit: string): string {
  const size = Math.abs(amount);
  const digits = size < 10 ? Number(size.toFixed(1)) : Math.round(size);
  return `${amount < 0 ? "−" : "+"}${digits} ${unit}`;
}
