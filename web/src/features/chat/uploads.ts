/**
 * Sends a file to the server, once for all messages that will name it. Called by the session of
 * somebody signed in. The server may have the same bytes already; then nothing is sent.
 */
import { post } from "@/lib/api";
import { ProblemError, sentence } from "@/lib/problem";
import { type Attachment, inside, type Prepared } from "./attachments";

interface Stored {
  id: string;
  media_type: string;
  url: string;
}

interface Begun extends Stored {
  /** Null for a file that is there already. */
  upload: { method: string; url: string; headers: Record<string, string> } | null;
}

export interface UploadHooks {
  signal: AbortSignal;
  onProgress: (progress: number) => void;
}

/**
 * The attachment as the server keeps it; where it keeps none, with the file inside.
 *
 * Throws an error whose message is a sentence, or an `AbortError`.
 */
export async function upload(prepared: Prepared, hooks: UploadHooks): Promise<Attachment> {
  const { content, attachment } = prepared;
  const bytes = await content.arrayBuffer().catch(() => {
    throw new Error(`${attachment.filename} could not be read.`);
  });
  // Browsers hash on secure pages alone.
  if (globalThis.crypto?.subtle === undefined) return inside(prepared);
  const announced = {
    filename: attachment.filename,
    media_type: imageType(new Uint8Array(bytes)) ?? attachment.mediaType,
    size: bytes.byteLength,
    sha256: hex(await crypto.subtle.digest("SHA-256", bytes)),
  };
  try {
    const begun: Begun = await (await post("/api/attachments", announced)).json();
    hooks.signal.throwIfAborted();
    let stored: Stored = begun;
    if (begun.upload !== null) {
      await send(begun.upload, content, hooks);
      stored = await (await post(`/api/attachments/${begun.id}/complete`)).json();
    }
    hooks.signal.throwIfAborted();
    const { media_type, url } = stored;
    return { ...attachment, mediaType: media_type, progress: undefined, url };
  } catch (error) {
    if (error instanceof ProblemError && error.status === 501) return inside(prepared);
    if (hooks.signal.aborted) throw error;
    throw new Error(`${attachment.filename} was not uploaded. ${sentence(error)}`);
  }
}

/** With the old interface of browsers, since the new one tells of no progress. */
function send(
  { method, url, headers }: NonNullable<Begun["upload"]>,
  content: Blob,
  { signal, onProgress }: UploadHooks,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      const { status } = request;
      // 409: another tab was faster with the same bytes.
      if (status < 300 || status === 409) resolve();
      else reject(new ProblemError({ status }));
    };
    request.onerror = () => reject(new TypeError("The connection was lost."));
    request.onabort = () => reject(new DOMException("Given up.", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(content);
  });
}

/** What a picture is by its first bytes; names lie, and what lies is refused. */
function imageType(bytes: Uint8Array): string | null {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (/^GIF8[79]a/.test(head)) return "image/gif";
  return /^RIFF.{4}WEBP$/s.test(head) ? "image/webp" : null;
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
