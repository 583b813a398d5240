/** Alert rules in words, and in a form and back. */
import { expect, it } from "vitest";
import type { RuleFields } from "./api";
import {
  draftOf,
  fieldsOf,
  formatSpan,
  formatValue,
  describe as inWords,
  NEW,
  problemOf,
} from "./rules";

const RULE: RuleFields = {
  name: "Failures",
  kind: "error_rate",
  threshold: 0.07,
  resolve_threshold: 0.035,
  window: 300,
  for_seconds: 90,
  minimum_calls: 20,
  severity: "critical",
  provider_name: "openai",
  request_model: null,
  enabled: true,
};

it("says what a rule looks for", () => {
  expect(inWords(RULE)).toBe("Error rate of openai ≥ 7 % over 5 min for 90 s");
  expect(inWords({ ...RULE, kind: "dead_letters", threshold: 3, for_seconds: 0 })).toBe(
    "Dead letters ≥ 3",
  );
  expect(formatValue("cost_per_hour", 12.5)).toBe("$12.50");
  expect(formatValue("ingestion_lag", null)).toBe("—");
  expect([60, 3600, 5400, 45].map(formatSpan)).toEqual(["1 min", "1 h", "1 h 30 min", "45 s"]);
});

it("goes through a form and comes back the same", () => {
  const draft = draftOf(RULE);
  expect(draft.threshold).toBe("7");
  expect({ ...fieldsOf(draft), enabled: true }).toEqual(RULE);
});

it("leaves to the server what is no number", () => {
  expect(fieldsOf({ ...NEW, threshold: "a lot" }).threshold).toBeNull();
  expect(fieldsOf({ ...NEW, threshold: "2,5" }).threshold).toBe(0.025);
});

it("knows no more failures than calls", () => {
  expect(problemOf({ ...NEW, threshold: "101" })?.errors[0]?.field).toBe("threshold");
  expect(problemOf({ ...NEW, threshold: "100" })).toBeNull();
  expect(problemOf({ ...NEW, kind: "duration_p95", threshold: "120" })).toBeNull();
});

it("does not send a provider for what is of none", () => {
  const fields = fieldsOf({ ...NEW, kind: "ingestion_lag", provider_name: "x", threshold: "60" });
  expect(fields).toMatchObject({ provider_name: null, threshold: 60 });
});
