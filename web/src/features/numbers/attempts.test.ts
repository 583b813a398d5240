/** What a call tells of its attempts. */
import { describe, expect, it } from "vitest";
import type { Call } from "@/lib/api";
import { attemptsOf } from "./attempts";

function call(given: Partial<Call>): Call {
  return {
    id: "1",
    started_at: "2026-11-21T12:00:00Z",
    kind: "chat",
    status: "ok",
    error_type: null,
    provider_name: "p",
    request_model: "b",
    response_model: null,
    duration: 1,
    time_to_first_chunk: 0.5,
    input_tokens: 1,
    output_tokens: 1,
    cache_read_input_tokens: null,
    cache_write_input_tokens: null,
    reasoning_output_tokens: null,
    usage_estimated: false,
    cost_usd: null,
    unpriced: true,
    finish_reasons: ["stop"],
    attempts: 1,
    fallback_from: null,
    failed_attempts: [],
    omitted_messages: 0,
    conversation_id: null,
    input_preview: null,
    output_preview: null,
    ...given,
  };
}

const failed = (error_type: string) => ({
  provider_name: "p",
  request_model: "a",
  error_type,
  duration: 0.2,
});
const seen = (given: Partial<Call>) =>
  attemptsOf(call(given)).map(({ model, error_type }) => [model, error_type]);

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
