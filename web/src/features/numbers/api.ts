/** Requests about numbers. Names, and what each one means, are those of docs/api.md. */
import { get, type Page, query } from "@/lib/api";
import { ProblemError } from "@/lib/problem";
import type { Span } from "./range";
import type { Filters, ListFilters } from "./search";

export type Dimension =
  | "model"
  | "provider"
  | "user"
  | "kind"
  | "status"
  | "error_type"
  | "finish_reason";
export type Measured = "duration" | "time_to_first_chunk" | "time_per_output_chunk" | "cost_usd";
export type CallStatus = "ok" | "error" | "cancelled" | "timeout" | "interrupted";

export interface Distribution {
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  mean: number;
  /** Of durations and costs. */
  max?: number;
}

interface Counts {
  requests: number;
  errors: number;
  error_rate: number;
  cancelled: number;
  unpriced_requests: number;
  /** Among them those read from a cache and written to one. */
  input_tokens: number;
  cache_read_input_tokens: number;
  cache_write_input_tokens: number;
  /** Among them those of reasoning. */
  output_tokens: number;
  reasoning_output_tokens: number;
  /** What is known of the cost; null where nothing is. */
  cost_usd: string | null;
}

/** Sums and distributions of some calls; a distribution is null where nothing was measured. */
interface Whole extends Counts {
  duration: Distribution | null;
  time_to_first_chunk: Distribution | null;
  time_per_output_chunk: Distribution | null;
  /** US dollars a call. */
  cost: Distribution | null;
}

export interface Overview extends Whole {
  from: string;
  to: string;
  /** The same of the span of the same length before. */
  previous: Whole;
}

export interface SeriesPoint extends Whole {
  start: string;
}

export interface Series {
  from: string;
  to: string;
  /** Null for months. */
  bucket_seconds: number | null;
  items: SeriesPoint[];
}

/** Of error classes and finish reasons there is no more than `requests`, of users no latencies. */
export interface BreakdownItem extends Partial<Counts> {
  requests: number;
  duration?: Distribution | null;
  time_to_first_chunk?: Distribution | null;
  provider_name?: string;
  request_model?: string;
  /** Null for guests, and for accounts that are gone. */
  owner_id?: string | null;
  email?: string | null;
  kind?: string;
  status?: CallStatus;
  error_type?: string;
  finish_reason?: string;
}

export interface Breakdown {
  from: string;
  to: string;
  by: Dimension;
  items: BreakdownItem[];
  truncated: boolean;
}

export interface HistogramBucket {
  /** Not in it. */
  lower: number;
  /** In it; both are 0 for values of zero. */
  upper: number;
  count: number;
}

export interface Histogram {
  of: Measured;
  distribution: Distribution | null;
  items: HistogramBucket[];
}

/** An attempt that failed before it had said anything. */
interface FailedAttempt {
  provider_name: string;
  request_model: string;
  error_type: string;
  /** Seconds. */
  duration: number | null;
}

/** A call as lists tell it. */
export interface CallItem {
  id: string;
  started_at: string;
  kind: string;
  status: CallStatus;
  error_type: string | null;
  provider_name: string;
  request_model: string;
  response_model: string | null;
  duration: number | null;
  time_to_first_chunk: number | null;
  time_per_output_chunk: number | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_input_tokens: number | null;
  cache_write_input_tokens: number | null;
  reasoning_output_tokens: number | null;
  usage_estimated: boolean;
  cost_usd: string | null;
  unpriced: boolean;
  finish_reasons: string[] | null;
  owner_id: string | null;
  conversation_id: string | null;
  input_preview: string | null;
  output_preview: string | null;
  /** How many times a model was asked, the last time included. */
  attempts: number;
  /** Id of the model asked for, where another one answered. */
  fallback_from: string | null;
}

/** One call in full. */
export interface Call extends CallItem {
  ingested_at: string;
  error_message: string | null;
  operation_name: string;
  response_id: string | null;
  request_id: string | null;
  price_version: string | null;
  cold_start: boolean | null;
  failed_attempts: FailedAttempt[];
  /** Earlier messages left out, since the model's context was full. */
  omitted_messages: number;
  /** For whom they belong to alone. */
  conversation: { id: string; title: string } | null;
  message: { id: string } | null;
}

/** A view of the numbers: its route, and what it takes beside a span and filters. */
export type View =
  | { name: "overview"; tz: string }
  | { name: "series"; tz: string; bucket?: string }
  | { name: "breakdown"; by: Dimension }
  | { name: "histogram"; of: Measured }
  | { name: "top"; by: "duration" | "cost_usd"; limit: number };

interface Answers {
  overview: Overview;
  series: Series;
  breakdown: Breakdown;
  histogram: Histogram;
  top: { by: "duration" | "cost_usd"; items: CallItem[] };
}

/** The time zone of the browser, whose days the charts show. */
export const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

function moments({ from, to }: Span) {
  return { from: from.toISOString(), to: to.toISOString() };
}

/** The address of a view; as a table to be saved with a format. */
export function viewUrl(view: View, span: Span, only: Filters, format?: "csv"): string {
  const { name, ...more } = view;
  return `/api/metrics/${name}${query({ ...moments(span), ...only, ...more, format })}`;
}

/** The address of a download of every call that the list would show. */
export function exportUrl(span: Span, only: Filters & ListFilters, format: "csv" | "json"): string {
  return `/api/metrics/export${query({ ...moments(span), ...only, format })}`;
}

export function liveUrl(user_id: string | undefined): string {
  return `/api/metrics/live${query({ user_id })}`;
}

async function readView<V extends View>(
  view: V,
  span: Span,
  only: Filters,
  signal?: AbortSignal,
): Promise<Answers[V["name"]]> {
  try {
    return await get(viewUrl(view, span, only), signal);
  } catch (error) {
    const is_unknown =
      error instanceof ProblemError && error.errors.some(({ field }) => field === "tz");
    if (!is_unknown || !("tz" in view) || view.tz === "UTC") throw error;
    // A browser may be of a zone that the server has never heard of.
    return await get(viewUrl({ ...view, tz: "UTC" }, span, only), signal);
  }
}

export const numbersApi = {
  view: readView,
  calls: (
    span: Span,
    only: Filters & ListFilters,
    cursor: string | null,
    signal?: AbortSignal,
  ): Promise<Page<CallItem>> =>
    get(`/api/metrics/calls${query({ limit: 25, ...moments(span), ...only, cursor })}`, signal),
  call: (id: string, signal?: AbortSignal) => get<Call>(`/api/metrics/calls/${id}`, signal),
};
