/** What alert rules mean, in words, and how a form holds one. */
import { formatCost, formatCount, formatRate, formatSeconds, UNKNOWN } from "@/lib/format";
import { ProblemError } from "@/lib/problem";
import type { RuleFields, RuleKind, Severity } from "./api";

type Unit = "%" | "seconds" | "USD" | "events" | "calls";

interface KindOfRule {
  label: string;
  unit: Unit;
  /** Looks at the calls of a window, of all or of one provider or model. */
  of_calls: boolean;
  windowed: boolean;
  about: string;
}

export const KINDS: Record<RuleKind, KindOfRule> = {
  error_rate: {
    label: "Error rate",
    unit: "%",
    of_calls: true,
    windowed: true,
    about: "How many of the calls in the window failed.",
  },
  duration_p95: {
    label: "Duration p95",
    unit: "seconds",
    of_calls: true,
    windowed: true,
    about: "95 of 100 calls in the window were faster.",
  },
  time_to_first_chunk_p95: {
    label: "Time to first chunk p95",
    unit: "seconds",
    of_calls: true,
    windowed: true,
    about: "95 of 100 answers in the window began sooner.",
  },
  cost_per_hour: {
    label: "Cost per hour",
    unit: "USD",
    of_calls: true,
    windowed: true,
    about: "What the calls in the window cost, reckoned to an hour.",
  },
  cost_per_user_day: {
    label: "Cost of a user per day",
    unit: "USD",
    of_calls: false,
    windowed: false,
    about: "What one user's calls cost since midnight UTC.",
  },
  ingestion_lag: {
    label: "Ingestion lag",
    unit: "seconds",
    of_calls: false,
    windowed: false,
    about: "For how long the oldest call that has ended is not in the log.",
  },
  dead_letters: {
    label: "Dead letters",
    unit: "events",
    of_calls: false,
    windowed: false,
    about: "Events that could not be kept.",
  },
  nothing_ingested: {
    label: "Nothing ingested",
    unit: "calls",
    of_calls: false,
    windowed: true,
    about: "Calls that ended in the window while nothing came into the log.",
  },
};

export const SEVERITIES: Severity[] = ["info", "warning", "critical"];

/** A rule's number with its unit. */
export function formatValue(kind: RuleKind, value: number | null): string {
  if (value === null) return UNKNOWN;
  switch (KINDS[kind].unit) {
    case "%":
      return formatRate(value);
    case "seconds":
      return formatSeconds(value);
    case "USD":
      return formatCost(String(value));
    default:
      return formatCount(value);
  }
}

/** `5 min`, `1 h`, `1 h 30 min`, `90 s`. */
export function formatSpan(seconds: number): string {
  if (seconds % 60 !== 0) return `${seconds} s`;
  const hours = Math.floor(seconds / 3600);
  const minutes = (seconds % 3600) / 60;
  if (hours === 0) return `${minutes} min`;
  return minutes === 0 ? `${hours} h` : `${hours} h ${minutes} min`;
}

/** What a rule looks for, in one line. */
export function describe(rule: RuleFields): string {
  const { label, windowed, of_calls } = KINDS[rule.kind];
  const of = [rule.provider_name, rule.request_model].filter(Boolean).join("/");
  return [
    label,
    of_calls && of !== "" ? `of ${of}` : "",
    `≥ ${formatValue(rule.kind, rule.threshold)}`,
    windowed ? `over ${formatSpan(rule.window)}` : "",
    rule.for_seconds > 0 ? `for ${formatSpan(rule.for_seconds)}` : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/** A rule as a form holds it: text, and rates in per cent. */
export interface Draft {
  name: string;
  kind: RuleKind;
  threshold: string;
  resolve_threshold: string;
  window: string;
  for_seconds: string;
  minimum_calls: string;
  severity: Severity;
  provider_name: string;
  request_model: string;
}

export const NEW: Draft = {
  name: "",
  kind: "error_rate",
  threshold: "",
  resolve_threshold: "",
  window: "300",
  for_seconds: "0",
  minimum_calls: "20",
  severity: "warning",
  provider_name: "",
  request_model: "",
};

export function draftOf(rule: RuleFields): Draft {
  const shown = (value: number | null) =>
    value === null ? "" : String(KINDS[rule.kind].unit === "%" ? round(value * 100) : value);
  return {
    name: rule.name,
    kind: rule.kind,
    threshold: shown(rule.threshold),
    resolve_threshold: shown(rule.resolve_threshold),
    window: String(rule.window),
    for_seconds: String(rule.for_seconds),
    minimum_calls: String(rule.minimum_calls),
    severity: rule.severity,
    provider_name: rule.provider_name ?? "",
    request_model: rule.request_model ?? "",
  };
}

/** What is sent; a number that is none is sent as null, for the server to say so. */
export function fieldsOf(draft: Draft): Omit<RuleFields, "enabled"> {
  const { unit, of_calls } = KINDS[draft.kind];
  const amount = (text: string) => {
    const value = numberOf(text);
    return value !== null && unit === "%" ? round(value / 100) : value;
  };
  return {
    name: draft.name.trim(),
    kind: draft.kind,
    threshold: amount(draft.threshold) as number,
    resolve_threshold: amount(draft.resolve_threshold),
    window: numberOf(draft.window) as number,
    for_seconds: numberOf(draft.for_seconds) as number,
    minimum_calls: numberOf(draft.minimum_calls) as number,
    severity: draft.severity,
    provider_name: of_calls ? draft.provider_name.trim() || null : null,
    request_model: of_calls ? draft.request_model.trim() || null : null,
  };
}

/**
 * What the server would refuse in words that are not those of the form: it knows shares, the form
 * per cent. Null where nothing is wrong.
 */
export function problemOf(draft: Draft): ProblemError | null {
  const too_much = KINDS[draft.kind].unit === "%" && (numberOf(draft.threshold) ?? 0) > 100;
  if (!too_much) return null;
  const detail = "More than 100 % cannot be.";
  return new ProblemError({ status: 422, detail, errors: [{ field: "threshold", detail }] });
}

function numberOf(text: string): number | null {
  const value = Number(text.trim().replace(",", "."));
  return text.trim() === "" || !Number.isFinite(value) ? null : value;
}

/** Per cent and back leaves no trace of binary fractions. */
function round(value: number): number {
  return Number(value.toPrecision(12));
}
