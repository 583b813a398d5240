/** Export in parts and import in turns, as one act each. Called by the transfer section. */
import { EXPORT_PATH, type ImportReport, transferApi } from "./api";

export interface ExportedPart {
  blob: Blob;
  filename: string;
}

/** Fetches every part of an account, handing over each as it is whole; returns how many. */
export async function exportAccount(
  onPart: (part: ExportedPart) => void,
  signal: AbortSignal,
): Promise<number> {
  let path: string | null = EXPORT_PATH;
  let parts = 0;
  while (path !== null) {
    const response: Response = await transferApi.export(path, signal);
    path = nextPath(response.headers.get("link"));
    parts += 1;
    const is_only = parts === 1 && path === null;
    onPart({
      blob: await response.blob(),
      filename: partName(response.headers.get("content-disposition"), is_only ? null : parts),
    });
  }
  return parts;
}

/** The address that a `Link` header calls the next; null for none, or one that is no export. */
export function nextPath(link: string | null): string | null {
  const next = link?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1];
  return next?.startsWith(`${EXPORT_PATH}?`) ? next : null;
}

/** `tailrace-2026-11-21.zip`, or `tailrace-2026-11-21.part-2.zip` of several. */
export function partName(disposition: string | null, part: number | null): string {
  const name = disposition?.match(/filename="([^"]+)"/)?.[1] ?? "tailrace.zip";
  return part === null ? name : name.replace(/(\.zip)?$/, `.part-${part}.zip`);
}

/** Hands a file to the browser, to be kept where it keeps downloads. */
export function save({ blob, filename }: ExportedPart): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = filename;
  link.click();
  // The download has begun only after this task.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** As which of the two a file is sent; its name counts where the system does not know the type. */
export function mediaTypeOf(file: Pick<File, "name" | "type">): string {
  const is_zip = /\.zip$/i.test(file.name) || /zip/.test(file.type);
  return is_zip ? "application/zip" : "application/json";
}

/**
 * Imports a file, sending it again for as long as the server has not looked at all of it.
 *
 * `onProgress` is given what was done so far, also when a later turn fails.
 */
export async function importFile(
  file: File,
  onProgress: (report: ImportReport) => void,
  signal: AbortSignal,
): Promise<ImportReport> {
  let report: ImportReport | null = null;
  while (report === null || !report.complete) {
    const turn = await transferApi.import(file, mediaTypeOf(file), signal);
    const next = merge(report, turn);
    if (!next.complete && report !== null && lookedAt(next) <= lookedAt(report)) {
      throw new Error("The import gets no further. Try it with a part of the file.");
    }
    report = next;
    onProgress(report);
  }
  return report;
}

export function lookedAt(report: ImportReport): number {
  return report.imported + report.skipped.length;
}

/**
 * The report of all turns. Each looks at the conversations in the same order, so a later one begins
 * by skipping what the earlier ones were done with.
 */
function merge(earlier: ImportReport | null, turn: ImportReport): ImportReport {
  if (earlier === null) return turn;
  const left_out = { ...earlier.left_out };
  for (const [kind, count] of Object.entries(turn.left_out)) {
    left_out[kind] = (left_out[kind] ?? 0) + count;
  }
  return {
    ...turn,
    imported: earlier.imported + turn.imported,
    messages: earlier.messages + turn.messages,
    items: [...earlier.items, ...turn.items],
    skipped: [...earlier.skipped, ...turn.skipped.slice(lookedAt(earlier))],
    left_out,
  };
}

/** What was not taken, by the reason. */
export function byReason(report: ImportReport): [reason: string, titles: string[]][] {
  const reasons = new Map<string, string[]>();
  for (const { id, title, reason } of report.skipped) {
    const name = title || id || "Without a title";
    reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  return [...reasons].sort((a, b) => b[1].length - a[1].length);
}
