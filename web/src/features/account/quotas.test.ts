/** Quotas between the API's words and an admin's form. */
import { expect, it } from "vitest";
import type { Quota } from "./api";
import { choiceOf, givenOf, shareOf, usedOf } from "./quotas";

const quota = (given: Partial<Quota>): Quota => ({
  name: "tokens_per_day",
  used: 0,
  limit: null,
  own: false,
  resets_at: "2026-11-22T00:00:00Z",
  unpriced_calls: 0,
  ...given,
});

it("gives back what it was told, through the form", () => {
  for (const [told, given] of [
    [quota({ limit: 1000 }), null],
    [quota({ limit: null, own: true }), "unlimited"],
    [quota({ limit: 0, own: true }), 0],
    [quota({ limit: 250_000, own: true }), 250_000],
    [quota({ name: "usd_per_month", limit: "12.50", own: true }), "12.50"],
  ] as const) {
    expect(givenOf(told.name, choiceOf(told))).toBe(given);
  }
});

it("takes amounts as people write them, and leaves nonsense for the API to refuse", () => {
  expect(givenOf("tokens_per_day", { kind: "amount", amount: " 1,000,000 " })).toBe(1_000_000);
  expect(givenOf("usd_per_day", { kind: "amount", amount: "0.25" })).toBe("0.25");
  expect(givenOf("tokens_per_day", { kind: "amount", amount: "many" })).toBe("many");
  expect(givenOf("tokens_per_day", { kind: "amount", amount: "" })).toBe("");
});

it("knows how much is used; nothing that is allowed is used up", () => {
  expect(shareOf(quota({ used: 250, limit: 1000 }))).toBe(0.25);
  expect(shareOf(quota({ used: 2000, limit: 1000 }))).toBe(1);
  expect(shareOf(quota({ name: "usd_per_day", used: "0.5", limit: "2.0" }))).toBe(0.25);
  expect(shareOf(quota({ used: 0, limit: 0 }))).toBe(1);
  expect(shareOf(quota({ used: 10, limit: null }))).toBeNull();
});

it("takes no cost for nothing where no price is known", () => {
  const cost = (used: string, unpriced_calls: number) =>
    usedOf(quota({ name: "usd_per_day", used, unpriced_calls }));
  expect(cost("0", 3)).toBe("—");
  expect(cost("0.25", 3)).toBe("$0.25");
  expect(cost("0", 0)).toBe("$0");
});
