/** The tries of one call in their order, as the call's details list them. */
import type { Call } from "./api";

export interface Attempt {
  /** `provider/model`. */
  model: string;
  /** Why it failed; null for the attempt that the call itself tells of. */
  error_type: string | null;
  /** Seconds; null for the attempt that the call itself tells of. */
  duration: number | null;
}

/** A provider that was passed over without being asked, since it kept failing. */
export const COOLING = "cooling";

/** What was tried, with whatever the call ended with as the last. */
export function attemptsOf(call: Call): Attempt[] {
  const failed = call.failed_attempts.map((attempt) => ({
    model: `${attempt.provider_name}/${attempt.request_model}`,
    error_type: attempt.error_type,
    duration: attempt.duration,
  }));
  const asked = failed.filter(({ error_type }) => error_type !== COOLING).length;
  // Where nobody answered, the last failure is the end of the call, and is listed already.
  if (asked > 0 && asked >= call.attempts) return failed;
  const last = `${call.provider_name}/${call.request_model}`;
  return [...failed, { model: last, error_type: null, duration: null }];
}
