/** Requests that carry all of an account's conversations, out and in. */
import { request } from "@/lib/api";

interface ImportedConversation {
  id: string;
  source: "tailrace" | "chatgpt" | "claude";
  source_id: string;
  title: string;
  messages: number;
}

interface SkippedConversation {
  id: string | null;
  title: string | null;
  reason: string;
}

/** What an import did; when it is not complete, the same import sent again goes on. */
export interface ImportReport {
  found: number;
  imported: number;
  messages: number;
  complete: boolean;
  items: ImportedConversation[];
  skipped: SkippedConversation[];
  /** Of the conversations taken: how many of which kind were left out. */
  left_out: Record<string, number>;
}

export const EXPORT_PATH = "/api/export";

export const transferApi = {
  /** One part of an account; the header `Link` names the next. */
  export: (path: string, signal: AbortSignal): Promise<Response> => request(path, { signal }),
  import: async (file: Blob, media_type: string, signal: AbortSignal): Promise<ImportReport> =>
    (
      await request("/api/import", {
        method: "POST",
        headers: { "content-type": media_type },
        body: file,
        signal,
      })
    ).json(),
};
