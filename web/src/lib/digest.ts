/**
 * The SHA-256 of what a request sends, in the header by which CloudFront signs it on to a function
 * URL: without it, whatever is no GET is refused there. Anywhere else the header means nothing.
 * Called by whatever calls `fetch` with a body for our own API.
 */
const HEADER = "x-amz-content-sha256";

/** Returns the request with the header; as it is, where browsers do not hash (plain HTTP). */
export async function withDigest(init: RequestInit = {}): Promise<RequestInit> {
  const { method = "GET", body } = init;
  if (method === "GET" || method === "HEAD" || globalThis.crypto?.subtle === undefined) return init;
  const bytes = await bytesOf(body);
  if (bytes === null) return init;
  const headers = new Headers(init.headers);
  headers.set(HEADER, hex(await crypto.subtle.digest("SHA-256", bytes)));
  return { ...init, headers };
}

async function bytesOf(body: RequestInit["body"]): Promise<BufferSource | null> {
  if (body === null || body === undefined) return new Uint8Array();
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (body instanceof Blob) return body.arrayBuffer();
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return body as BufferSource;
  // A form or a stream has no bytes before it is sent; we send none.
  return null;
}

function hex(digest: ArrayBuffer): string {
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
