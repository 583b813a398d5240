/** Piles of amounts: each series stands on those before it. */

/**
 * How high each series of a pile reaches, for every point. What adds nothing is null, for it would
 * be drawn as a line along the top of what is below.
 */
export function stacked(series: (number | null)[][]): (number | null)[][] {
  const heights = (series[0] ?? []).map(() => 0);
  return series.map((values) =>
    values.map((value, index) => {
      if (!value) return null;
      heights[index] = (heights[index] ?? 0) + value;
      return heights[index];
    }),
  );
}
