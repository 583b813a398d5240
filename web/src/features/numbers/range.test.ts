/** What a range means at a moment. */
import { describe, expect, it } from "vitest";
import { problemOf, refreshEvery, spanOf, toField } from "./range";

const NOW = new Date("2026-11-21T12:00:00Z");

describe("spanOf", () => {
  it("ends a preset now", () => {
    expect(spanOf({ range: "24h" }, NOW)).toEqual({
      from: new Date("2026-11-20T12:00:00Z"),
      to: NOW,
    });
  });

  it("leaves two moments as they are", () => {
    const chosen = { range: "custom", from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" };
    expect(spanOf({ ...chosen, range: "custom" }, NOW)).toEqual({
      from: new Date(chosen.from),
      to: new Date(chosen.to),
    });
  });
});

describe("problemOf", () => {
  const field = (from: string, to: string) =>
    problemOf({ from: new Date(from), to: new Date(to) })?.field ?? null;

  it("names the field that cannot be", () => {
    expect(field("2026-01-01", "2026-01-02")).toBeNull();
    expect(field("", "2026-01-02")).toBe("from");
    expect(field("2026-01-01", "never")).toBe("to");
    expect(field("2026-01-02", "2026-01-02")).toBe("to");
    expect(field("2024-01-01", "2026-01-02")).toBe("from");
  });
});

it("reads again less often what is longer, and never what has ended", () => {
  const every = refreshEvery({ range: "15m" });
  expect(every).toBeLessThan(Number(refreshEvery({ range: "30d" })));
  expect(refreshEvery({ range: "custom" })).toBe(false);
});

it("writes a moment as the browser's fields read it", () => {
  expect(new Date(toField(NOW)).getTime()).toBe(NOW.getTime());
});
