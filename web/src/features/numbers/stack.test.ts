/** Amounts on top of each other. */
import { expect, it } from "vitest";
import { stacked } from "./stack";

it("piles each series up on those before it, and draws none where nothing is added", () => {
  expect(
    stacked([
      [1, null, 3],
      [null, 2, 0],
      [4, 5, null],
    ]),
  ).toEqual([
    [1, null, 3],
    [null, 2, null],
    [5, 7, null],
  ]);
  expect(stacked([])).toEqual([]);
});
