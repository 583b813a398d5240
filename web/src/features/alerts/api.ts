/** Requests of an admin about alerts, dead letters and the queue. */
import { get, type Page, post, query, send } from "@/lib/api";

export type RuleKind =
  | "error_rate"
  | "duration_p95"
  | "time_to_first_chunk_p95"
  | "cost_per_hour"
  | "cost_per_user_day"
  | "ingestion_lag"
  | "dead_letters"
  | "nothing_ingested";
export type Severity = "info" | "warning" | "critical";
export type AlertState = "ok" | "pending" | "firing" | "resolved";

export interface RuleFields {
  name: string;
  kind: RuleKind;
  /** In the kind's unit: a share of 1, seconds, US dollars, or how many. */
  threshold: number;
  /** Null is the threshold. */
  resolve_threshold: number | null;
  /** Seconds. */
  window: number;
  for_seconds: number;
  minimum_calls: number;
  severity: Severity;
  provider_name: string | null;
  request_model: string | null;
  enabled: boolean;
}

type About = "calls" | "user" | "numbers";

export interface Rule extends RuleFields {
  id: string;
  source: "settings" | "api";
  state: AlertState;
  states: {
    about: About;
    user_id: string | null;
    state: AlertState;
    since: string;
    value: number | null;
    alert_id: string | null;
  }[];
  /** Why the last evaluation failed. */
  problem: string | null;
  evaluated_at: string | null;
  silenced_until: string | null;
}

export interface AlertEvent {
  id: string;
  at: string;
  rule_id: string;
  rule_name: string;
  kind: RuleKind;
  severity: Severity;
  about: About;
  user_id: string | null;
  state: AlertState;
  value: number | null;
  threshold: number;
  problem: string | null;
  silenced: boolean;
  deliveries: {
    target: string;
    attempts: number;
    delivered_at: string | null;
    next_attempt_at: string | null;
    last_error: string | null;
  }[];
}

export interface DeadLetterItem {
  id: number;
  source: string;
  reason: string;
  attempts: number;
  first_seen_at: string;
  last_seen_at: string;
  /** Of an event that a newer release wrote. */
  schema_version: number | null;
  bytes: number;
  replay_requested_at: string | null;
}

export interface DeadLetter extends DeadLetterItem {
  payload: string;
}

/** What waits where; null where it could not be found out. */
export interface QueueStatus {
  available: boolean;
  depth: number | null;
  /** Seconds. */
  oldest_age: number | null;
  lag: number;
  spilled: number;
  dead: number;
  parked: number;
}

/** Some dead letters, or all. */
export type Which = { ids: number[] } | { all: true };

export const alertKeys = {
  rules: ["alerts", "rules"] as const,
  history: (rule_id: string | null) => ["alerts", "history", rule_id] as const,
  letters: ["dead-letters"] as const,
  letterList: (parked: boolean | null) => ["dead-letters", "list", parked] as const,
  letter: (id: number) => ["dead-letters", id] as const,
  queue: ["queue"] as const,
};

const RULES = "/api/admin/alerts";
const LETTERS = "/api/admin/dead-letters";
/** The most that an installation can have are two such pages. */
const PAGE = 100;

/** All rules, the oldest first. */
async function rules(signal?: AbortSignal): Promise<Rule[]> {
  const found: Rule[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Rule> = await get(`${RULES}${query({ limit: PAGE, cursor })}`, signal);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

export const alertsApi = {
  rules,
  create: async (fields: RuleFields): Promise<Rule> => (await post(RULES, fields)).json(),
  change: async ({ id, change }: { id: string; change: Partial<RuleFields> }): Promise<Rule> =>
    (await send("PATCH", `${RULES}/${id}`, change)).json(),
  remove: async (id: string): Promise<void> => {
    await send("DELETE", `${RULES}/${id}`);
  },
  /** Null ends a silence. */
  silence: async ({ id, until }: { id: string; until: Date | null }): Promise<Rule> =>
    (until === null
      ? await send("DELETE", `${RULES}/${id}/silence`)
      : await send("PUT", `${RULES}/${id}/silence`, { until: until.toISOString() })
    ).json(),
  history: (rule_id: string | null, cursor: string | null, signal?: AbortSignal) =>
    get<Page<AlertEvent>>(`${RULES}/history${query({ rule_id, cursor })}`, signal),
  letters: (parked: boolean | null, cursor: string | null, signal?: AbortSignal) =>
    get<Page<DeadLetterItem>>(`${LETTERS}${query({ parked, cursor })}`, signal),
  letter: (id: number, signal?: AbortSignal) => get<DeadLetter>(`${LETTERS}/${id}`, signal),
  replay: async (which: Which): Promise<{ asked: number }> =>
    (await post(`${LETTERS}/replay`, which)).json(),
  purge: async (which: Which): Promise<{ purged: number }> =>
    (await post(`${LETTERS}/purge`, which)).json(),
  queue: (signal?: AbortSignal) => get<QueueStatus>("/api/admin/queue", signal),
};
