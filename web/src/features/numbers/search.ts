/**
 * What the numbers page shows, as its address tells it: a range, filters, which way to look. The
 * router reads it; every view asks for what it names, in the names of the API.
 */
import type { CallItem, CallStatus, Dimension, Measured } from "./api";
import { type Chosen, DEFAULT_RANGE, isPreset, problemOf, spanOf } from "./range";

export const KINDS = ["chat", "title", "guest", "gateway", "embedding"] as const;
/** What the page calls each way a call may end. */
export const STATUS_NAMES: Record<CallStatus, string> = {
  ok: "ok",
  error: "error",
  cancelled: "stopped",
  timeout: "timeout",
  interrupted: "interrupted",
};
export const STATUSES = Object.keys(STATUS_NAMES) as CallStatus[];

/** How a dimension is called, and what one of its values is. */
export const DIMENSIONS: Record<Dimension, string> = {
  model: "Model",
  provider: "Provider",
  user: "User",
  kind: "Kind",
  status: "Status",
  error_type: "Error class",
  finish_reason: "Finish reason",
};
export const MEASURED: Record<Measured, string> = {
  duration: "Duration",
  time_to_first_chunk: "Time to first chunk",
  time_per_output_chunk: "Time per chunk",
  cost_usd: "Cost",
};
export const BUCKETS = ["minute", "hour", "day", "week", "month"] as const;
export type Bucket = (typeof BUCKETS)[number];

/** Which calls every view is about. */
export interface Filters {
  provider_name?: string;
  request_model?: string;
  kind?: (typeof KINDS)[number];
  status?: CallStatus;
  /** For admins. */
  user_id?: string;
}

/** What narrows the list of calls alone, and their download. */
export interface ListFilters {
  error_type?: string;
  finish_reason?: string;
  conversation_id?: string;
}

export interface NumbersSearch extends Chosen, Filters, ListFilters {
  /** Of the table; models by default. */
  by?: Dimension;
  /** Of the histogram; durations by default. */
  of?: Measured;
  top?: "cost_usd";
  bucket?: Bucket;
  /** The id of the call whose details are open. */
  call?: string;
}

const FILTERS = ["provider_name", "request_model", "kind", "status", "user_id"] as const;
const LIST_FILTERS = ["error_type", "finish_reason", "conversation_id"] as const;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads an address; what it cannot mean is left out. */
export function readSearch(search: Record<string, unknown>): NumbersSearch {
  const text = (name: string) => {
    const value = search[name];
    // A name that looks like a number was read as one.
    if (typeof value === "number") return String(value);
    return typeof value === "string" && value !== "" && value.length <= 256 ? value : undefined;
  };
  const one = <T extends string>(name: string, values: readonly T[]) =>
    values.find((value) => value === search[name]);
  const id = (name: string) => {
    const value = text(name);
    return value !== undefined && UUID.test(value) ? value : undefined;
  };
  return {
    ...readRange(search),
    provider_name: text("provider_name"),
    request_model: text("request_model"),
    kind: one("kind", KINDS),
    status: one("status", STATUSES),
    user_id: id("user_id"),
    error_type: text("error_type"),
    finish_reason: text("finish_reason"),
    conversation_id: id("conversation_id"),
    by: one("by", Object.keys(DIMENSIONS) as Dimension[]),
    of: one("of", Object.keys(MEASURED) as Measured[]),
    top: one("top", ["cost_usd"]),
    bucket: one("bucket", BUCKETS),
    call: id("call"),
  };
}

function readRange({ range, from, to }: Record<string, unknown>): Chosen {
  if (isPreset(range)) return { range };
  if (range === "custom" && typeof from === "string" && typeof to === "string") {
    const custom = { range, from, to } as const;
    if (problemOf(spanOf(custom, new Date())) === null) return custom;
  }
  return { range: DEFAULT_RANGE };
}

function pick<Name extends keyof NumbersSearch>(
  search: NumbersSearch,
  names: readonly Name[],
): Pick<NumbersSearch, Name> {
  const set = names.filter((name) => search[name] !== undefined);
  return Object.fromEntries(set.map((name) => [name, search[name]])) as Pick<NumbersSearch, Name>;
}

export function filtersOf(search: NumbersSearch): Filters {
  return pick(search, FILTERS);
}

export function listFiltersOf(search: NumbersSearch): ListFilters {
  return pick(search, LIST_FILTERS);
}

export function isFiltered(search: NumbersSearch): boolean {
  return Object.keys(filtersOf(search)).length > 0;
}

/** True for a change that narrows the list of calls alone. */
export function narrowsList(change: Partial<NumbersSearch>): boolean {
  return LIST_FILTERS.some((name) => change[name] !== undefined);
}

/** The search without filters. */
export function withoutFilters(search: NumbersSearch): NumbersSearch {
  const none = [...FILTERS, ...LIST_FILTERS].map((name) => [name, undefined]);
  return { ...search, ...Object.fromEntries(none) };
}

/** True for a call that the list would show, for those that come in live. */
export function matches(call: CallItem, only: Filters & ListFilters): boolean {
  const { user_id, finish_reason, ...same } = only;
  return (
    (user_id === undefined || call.owner_id === user_id) &&
    (finish_reason === undefined || (call.finish_reasons ?? []).includes(finish_reason)) &&
    (Object.keys(same) as (keyof typeof same)[]).every((name) => call[name] === same[name])
  );
}
