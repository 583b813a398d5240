/**
 * Errors of the API (RFC 9457 problem details) as one exception, and the sentence a person reads.
 * Thrown by `api.ts` and the chat transport; shown by forms and notices. Never retries anything.
 */

export interface FieldError {
  field: string;
  detail: string;
}

export interface ProblemDetails {
  type?: string;
  title?: string;
  status: number;
  detail?: string;
  errors?: FieldError[];
}

export class ProblemError extends Error {
  readonly status: number;
  readonly title: string;
  readonly errors: FieldError[];
  /** Seconds the server asks to wait, from `Retry-After`. */
  readonly retry_after: number | null;

  constructor(problem: ProblemDetails, retry_after: number | null = null) {
    super(problem.detail ?? problem.title ?? `The server answered ${problem.status}.`);
    this.name = "ProblemError";
    this.status = problem.status;
    this.title = problem.title ?? "Error";
    this.errors = problem.errors ?? [];
    this.retry_after = retry_after;
  }
}

/** Reads the error of a response that is not ok, whatever its body holds. */
export async function problemFrom(response: Response): Promise<ProblemError> {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retry_after = Number.isFinite(seconds) ? seconds : null;
  if (response.headers.get("content-type")?.includes("json")) {
    try {
      const body = (await response.json()) as Partial<ProblemDetails>;
      return new ProblemError({ ...body, status: response.status }, retry_after);
    } catch {
      // A proxy may label its own page as JSON: the status still tells enough.
    }
  }
  return new ProblemError({ status: response.status }, retry_after);
}

/**
 * Sorts an error's details by form field. The last named part of a dotted path is the field, so
 * that `body.email` and `email` meet the same input; what fits no field comes back as `rest`.
 * Null, where nothing went wrong, has neither.
 */
export function fieldErrors<Name extends string>(
  error: unknown,
  names: readonly Name[],
): { fields: Partial<Record<Name, string>>; rest: string | null } {
  const fields: Partial<Record<Name, string>> = {};
  if (error === null) return { fields, rest: null };
  if (!(error instanceof ProblemError)) return { fields, rest: sentence(error) };
  let unmatched: string | null = null;
  for (const { field, detail } of error.errors) {
    const name = field.split(".").findLast((part) => names.includes(part as Name)) as
      | Name
      | undefined;
    if (name === undefined) unmatched ??= detail;
    else fields[name] ??= detail;
  }
  if (error.errors.length === 0) return { fields, rest: sentence(error) };
  return { fields, rest: unmatched };
}

/** Says in one sentence what went wrong, for any error the page can meet. */
export function sentence(error: unknown): string {
  if (error instanceof ProblemError) {
    const generic = error.message.startsWith("The server answered");
    if (!generic) return error.message;
    if (error.status >= 500) return "The server could not answer just now. Try again in a moment.";
    if (error.status === 429) return "Too many requests. Wait a moment, then try again.";
    return error.message;
  }
  if (error instanceof TypeError) return "The server cannot be reached. Check your connection.";
  if (error instanceof Error && error.message) return error.message;
  return "Something went wrong.";
}
