/** A histogram of 2 % buckets, put together into as many bars as an eye can tell apart. */
import type { HistogramBucket } from "./api";

interface Bar {
  lower: number;
  upper: number;
  count: number;
}

export interface Bars {
  bars: Bar[];
  /** Values of zero, which have no place on an axis of ratios. */
  zeros: number;
  /** Where a value lies on the axis, from 0 to 1. */
  position: (value: number) => number;
}

/** The axis reaches at least so far, for a single value to be a bar and not the whole picture. */
const LEAST_RATIO = 4;

/** Bars of equal width on an axis of ratios, from the least value to the greatest. */
export function barsOf(items: HistogramBucket[], most: number): Bars {
  const zeros = items.find(({ upper }) => upper === 0)?.count ?? 0;
  const positive = items.filter(({ upper }) => upper > 0);
  let low = Math.log(Math.min(...positive.map(({ lower }) => lower)));
  let high = Math.log(Math.max(...positive.map(({ upper }) => upper)));
  if (positive.length === 0) return { bars: [], zeros, position: () => 0 };
  const lacking = Math.log(LEAST_RATIO) - (high - low);
  if (lacking > 0) {
    low -= lacking / 2;
    high += lacking / 2;
  }
  const step = (high - low) / most;
  const bars = Array.from({ length: most }, (_, index) => ({
    lower: Math.exp(low + index * step),
    upper: Math.exp(low + (index + 1) * step),
    count: 0,
  }));
  for (const { lower, upper, count } of positive) {
    const middle = (Math.log(lower) + Math.log(upper)) / 2;
    const bar = bars[Math.min(most - 1, Math.max(0, Math.floor((middle - low) / step)))];
    if (bar) bar.count += count;
  }
  const position = (value: number) =>
    value <= 0 ? 0 : Math.min(1, Math.max(0, (Math.log(value) - low) / (high - low)));
  return { bars, zeros, position };
}

const STEPS = [1, 2, 5];

/** Round values for the marks of an axis between two positive values, at most so many. */
export function ticksOf(low: number, high: number, most: number): number[] {
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    // Powers below one are divisions: 3 * 10 ** -1 is not 0.3.
    for (const step of STEPS) all.push(power < 0 ? step / 10 ** -power : step * 10 ** power);
  }
  const within = all.filter((value) => value >= low && value <= high);
  const every = Math.ceil(within.length / most);
  return within.filter((_, index) => index % every === 0);
}
