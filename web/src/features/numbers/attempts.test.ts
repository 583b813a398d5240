/** What a call tells of its attempts. */
import { describe, expect, it } from "vitest";
import { makeCall } from "@/test/calls";
import { attemptsOf } from "./attempts";

const failed = (error_type: string) => ({
  provider_name: "p",
  request_model: "a",
  error_type,
  duration: 0.2,
});
const seen = (given: Parameters<typeof makeCall>[0]) =>
  attemptsOf(makeCall(given)).map(({ model, error_type }) => [model, error_type]);

describe("attemptsOf", () => {
  it("ends with the attempt that answered", () => {
    expect(seen({})).toEqual([["p/b", null]]);
    const failed_attempts = [failed("overloaded"), failed("timeout")];
    expect(seen({ attempts: 3, fallback_from: "p/a", failed_attempts })).toEqual([
      ["p/a", "overloaded"],
      ["p/a", "timeout"],
      ["p/b", null],
    ]);
  });

  it("does not count a provider that was passed over as asked", () => {
    expect(
      seen({ attempts: 1, fallback_from: "p/a", failed_attempts: [failed("cooling")] }),
    ).toEqual([
      ["p/a", "cooling"],
      ["p/b", null],
    ]);
  });

  it("lists each failure once where nobody answered", () => {
    const failed_attempts = [failed("overloaded"), failed("overloaded")];
    expect(seen({ status: "error", attempts: 2, failed_attempts })).toHaveLength(2);
  });
});
