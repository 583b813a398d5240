import { act, renderHook } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ProblemError } from "@/lib/problem";
import { formatWait, useWait } from "./wait";

afterEach(() => {
  vi.useRealTimers();
});

it("says how long to wait, never too short", () => {
  expect(formatWait(1)).toBe("1 second");
  expect(formatWait(0.2)).toBe("1 second");
  expect(formatWait(89)).toBe("89 seconds");
  expect(formatWait(91)).toBe("2 minutes");
  expect(formatWait(15 * 60)).toBe("15 minutes");
  expect(formatWait(5_401)).toBe("2 hours");
});

it("counts down to when it may be tried again, anew with every refusal", () => {
  vi.useFakeTimers();
  const refusal = () => new ProblemError({ status: 429, detail: "Too many attempts." }, 3);
  const { result, rerender } = renderHook(({ error }) => useWait(error), {
    initialProps: { error: refusal() as Error | null },
  });
  expect(result.current).toBe(3);
  act(() => void vi.advanceTimersByTime(2_000));
  expect(result.current).toBe(1);
  rerender({ error: refusal() });
  expect(result.current).toBe(3);
  act(() => void vi.advanceTimersByTime(3_000));
  expect(result.current).toBe(0);
  rerender({ error: new Error("something else") });
  expect(result.current).toBe(0);
});
