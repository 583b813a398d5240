/** Buckets of 2 %, as bars. */
import { describe, expect, it } from "vitest";
import { barsOf, ticksOf } from "./histogram";

const bucket = (upper: number, count: number) => ({ lower: upper / 1.02, upper, count });

describe("barsOf", () => {
  it("counts every call once, in the order of their sizes", () => {
    const items = [0.01, 0.1, 0.1021, 1, 10, 60].map((upper, index) => bucket(upper, index + 1));
    const { bars, zeros } = barsOf([{ lower: 0, upper: 0, count: 4 }, ...items], 40);
    expect(bars).toHaveLength(40);
    expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(21);
    expect(zeros).toBe(4);
    expect(bars[0]?.count).toBe(1);
    expect(bars.at(-1)?.count).toBe(6);
    for (const { lower, upper } of bars) expect(upper).toBeGreaterThan(lower);
  });

  it("places values by their ratio", () => {
    const { position } = barsOf([bucket(0.01, 1), bucket(100, 1)], 40);
    expect(position(1)).toBeCloseTo(0.5, 1);
    expect(position(1e-9)).toBe(0);
    expect(position(1e9)).toBe(1);
  });

  it("leaves a single value room on both sides", () => {
    const { bars } = barsOf([bucket(1, 7)], 40);
    expect(bars.filter(({ count }) => count > 0)).toHaveLength(1);
    expect(bars[0]?.count).toBe(0);
    expect(bars.at(-1)?.count).toBe(0);
  });

  it("has none for zeros alone", () => {
    expect(barsOf([{ lower: 0, upper: 0, count: 3 }], 40)).toMatchObject({ bars: [], zeros: 3 });
  });
});

it("marks an axis with round values, not too many", () => {
  expect(ticksOf(0.04, 7, 20)).toEqual([0.05, 0.1, 0.2, 0.5, 1, 2, 5]);
  expect(ticksOf(0.001, 1000, 6).length).toBeLessThanOrEqual(6);
});
