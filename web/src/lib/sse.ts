/**
 * A Server-Sent Events body that survives a lost connection: it is reopened after the last frame
 * that arrived whole, so what reads it sees every frame once and in order.
 * Used by the chat transport; knows frames and ids, never what the data means.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import { problemFrom } from "./problem";

export type Connection = "live" | "reconnecting";

export interface Frame {
  id: string | null;
  data: string;
}

export interface FollowOptions {
  /** Asks for the frames after `last_event_id`, or all of them when it is null. */
  reopen: (last_event_id: string | null) => Promise<Response>;
  signal?: AbortSignal;
  onConnection?: (connection: Connection) => void;
  /** Reconnections in a row without a new frame before giving up. */
  attempts?: number;
  /** Milliseconds before the given reconnection, counted from 1. */
  delay?: (attempt: number) => number;
  /** Milliseconds of silence, keep-alives included, after which a connection counts as lost. */
  stall?: number;
}

/** The connection is gone for good, and what was missed cannot be had from the stream. */
export class StreamLostError extends Error {
  constructor() {
    super("The connection was lost before the answer was complete.");
    this.name = "StreamLostError";
  }
}

const DONE = "[DONE]";

/** Follows a stream to its `[DONE]`, reconnecting where needed. Yields whole frames as bytes. */
export function followStream(
  first: ReadableStream<Uint8Array>,
  options: FollowOptions,
): ReadableStream<Uint8Array> {
  const cancelled = new AbortController();
  const signal = options.signal
    ? AbortSignal.any([options.signal, cancelled.signal])
    : cancelled.signal;
  const frames = follow(first, { ...options, signal });
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await frames.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(formatFrame(value)));
    },
    cancel() {
      cancelled.abort();
    },
  });
}

async function* follow(
  first: ReadableStream<Uint8Array>,
  {
    reopen,
    signal,
    onConnection,
    attempts = 8,
    delay = backoff,
    stall = 45_000,
  }: FollowOptions & { signal: AbortSignal },
): AsyncGenerator<Frame, void> {
  let body: ReadableStream<Uint8Array> | null = first;
  let last_event_id: string | null = null;
  let failures = 0;

  while (body !== null) {
    try {
      for await (const frame of readFrames(body, signal, stall)) {
        // A server that replays from the start is as good as one that continues.
        if (isRepeated(frame.id, last_event_id)) continue;
        last_event_id = frame.id ?? last_event_id;
        failures = 0;
        yield frame;
        if (frame.data === DONE) return;
      }
    } catch (error) {
      if (signal.aborted) throw error;
    }

    onConnection?.("reconnecting");
    body = null;
    while (body === null) {
      failures += 1;
      if (failures > attempts) throw new StreamLostError();
      await pause(delay(failures), signal);
      body = await tryOpen(() => reopen(last_event_id), signal);
    }
    onConnection?.("live");
  }
}

/** Returns the reopened body, or null when another try may succeed. */
async function tryOpen(
  open: () => Promise<Response>,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array> | null> {
  let response: Response;
  try {
    response = await open();
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
  if (response.status === 204) throw new StreamLostError();
  if (response.status >= 500 || response.status === 429) return null;
  if (!response.ok) throw await problemFrom(response);
  return response.body;
}

/** Reads whole frames; a frame cut off by the end of the body is not one. */
async function* readFrames(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  stall: number,
): AsyncGenerator<Frame, void> {
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await within(stall, reader.read());
      signal.throwIfAborted();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const frame = parseFrame(block);
        if (frame !== null) yield frame;
      }
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** A block of lines as a frame; null for comments such as keep-alives. */
export function parseFrame(block: string): Frame | null {
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    const field = line.slice(0, colon);
    if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
  return data.length > 0 ? { id, data: data.join("\n") } : null;
}

function formatFrame({ id, data }: Frame): string {
  const lines = data.split("\n").map((line) => `data: ${line}\n`);
  return `${id === null ? "" : `id: ${id}\n`}${lines.join("")}\n`;
}

function isRepeated(id: string | null, last: string | null): boolean {
  return id !== null && last !== null && Number(id) <= Number(last);
}

/** 0.3 s doubling to 5 s, with jitter so that many pages do not come back as one. */
function backoff(attempt: number): number {
  return Math.min(5_000, 300 * 2 ** (attempt - 1)) * (0.75 + Math.random() / 2);
}

function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new StreamLostError()), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Waits, but not past the moment at which the network is back. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(done, milliseconds);
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
