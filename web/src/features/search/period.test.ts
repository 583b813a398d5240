import { expect, it } from "vitest";
import { isBackwards, momentsOf } from "./period";

const none = { first: "", last: "" };
const at = (...parts: [number, number, number]) => new Date(...parts).toISOString();

it("begins a period at a local midnight, so that it stays the same all day", () => {
  const morning = momentsOf("week", none, new Date(2026, 10, 21, 8, 30));
  expect(morning).toEqual(momentsOf("week", none, new Date(2026, 10, 21, 23, 59)));
  expect(morning).toEqual({ from: at(2026, 10, 14), to: null });
  expect(momentsOf("today", none, new Date(2026, 10, 21, 8))).toEqual({
    from: at(2026, 10, 21),
    to: null,
  });
  expect(momentsOf("any", none)).toEqual({ from: null, to: null });
});

it("takes the last day whole, over the ends of months", () => {
  expect(momentsOf("between", { first: "2026-10-30", last: "2026-10-31" })).toEqual({
    from: at(2026, 9, 30),
    to: at(2026, 10, 1),
  });
  expect(momentsOf("between", { first: "", last: "2026-12-31" })).toEqual({
    from: null,
    to: at(2027, 0, 1),
  });
});

it("tells days in the wrong order", () => {
  expect(isBackwards({ first: "2026-11-02", last: "2026-11-01" })).toBe(true);
  expect(isBackwards({ first: "2026-11-01", last: "2026-11-01" })).toBe(false);
  expect(isBackwards({ first: "2026-11-01", last: "" })).toBe(false);
});
