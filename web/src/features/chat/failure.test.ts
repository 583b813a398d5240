/** What a person reads when something was refused. */
import { describe, expect, it, vi } from "vitest";
import { ProblemError } from "@/lib/problem";
import { failureOf } from "./failure";

const limited = (title: string, retry_after: number | null = 30) =>
  new ProblemError({ status: 429, title, detail: "Used up." }, retry_after);

describe("failureOf", () => {
  it("tells when to try again", () => {
    vi.useFakeTimers({ now: 1_000 });
    expect(failureOf(limited("Too many requests"), false)).toEqual({
      detail: "Used up.",
      hint: null,
      action: "none",
      retry_at: 31_000,
    });
    expect(failureOf(limited("Too many requests", null), false).retry_at).toBeNull();
    vi.useRealTimers();
  });

  it("tells a quota from a budget", () => {
    expect(failureOf(limited("Quota reached"), false).hint).toMatch(/your own quota/);
    expect(failureOf(limited("Budget reached"), false).hint).toMatch(/everybody/);
  });

  it("offers to sign in where that helps", () => {
    expect(failureOf(limited("Guest limit reached"), true).action).toBe("sign-in");
    expect(failureOf(limited("Budget reached"), true)).toMatchObject({
      action: "none",
      hint: "This holds for everybody who chats here.",
    });
    expect(failureOf(limited("Too many requests"), false).action).toBe("none");
    expect(failureOf(new TypeError("Failed to fetch"), true)).toMatchObject({
      detail: "The server cannot be reached. Check your connection.",
      retry_at: null,
    });
  });
});
