/** Server-Sent Events as the server sends them, for tests that play its part. */
import { vi } from "vitest";

const encoder = new TextEncoder();

/** Numbers parts from `first` on, as the server does. */
export function frames(parts: unknown[], first = 1): string[] {
  return parts.map((part, index) => `id: ${first + index}\ndata: ${JSON.stringify(part)}\n\n`);
}

export const DONE = "data: [DONE]\n\n";

/** A body that hands over each piece by itself, then ends, breaks, or stays open. */
export function body(
  pieces: string[],
  end: "close" | "break" | "open" = "close",
): ReadableStream<Uint8Array> {
  const waiting = [...pieces];
  return new ReadableStream({
    pull(controller) {
      const piece = waiting.shift();
      if (piece !== undefined) controller.enqueue(encoder.encode(piece));
      else if (end === "close") controller.close();
      else if (end === "break") controller.error(new TypeError("network error"));
    },
  });
}

export function streamResponse(
  pieces: string[],
  { end, run_id = "run-1" }: { end?: "close" | "break" | "open"; run_id?: string } = {},
): Response {
  return new Response(body(pieces, end), {
    headers: { "content-type": "text/event-stream", "x-tailrace-run-id": run_id },
  });
}

export function problemResponse(status: number, detail: string): Response {
  return Response.json(
    { type: "about:blank", title: "Problem", status, detail },
    { status, headers: { "content-type": "application/problem+json" } },
  );
}

export interface Sent {
  url: string;
  method: string;
  headers: Headers;
  body: Record<string, unknown>;
}

/** Stands in for the server: answers requests in turn, and keeps what was asked. */
export function serve(...answers: (Response | (() => Response | Promise<Response>))[]): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal(
    "fetch",
    vi.fn(async (url: string, init: RequestInit = {}) => {
      sent.push({
        url,
        method: init.method ?? "GET",
        headers: new Headers(init.headers),
        body: typeof init.body === "string" ? JSON.parse(init.body) : {},
      });
      const answer = answers.shift();
      if (answer === undefined) throw new TypeError(`Failed to fetch ${url}`);
      return typeof answer === "function" ? answer() : answer;
    }),
  );
  return sent;
}

/** The parts of a whole answer. */
export function answerParts(text: string, { run_id = "run-1" } = {}) {
  return [
    { type: "start", messageId: run_id, messageMetadata: { run_id, model: "scripted/echo" } },
    { type: "start-step" },
    { type: "text-start", id: "0" },
    ...(text.match(/\S+\s*/g) ?? []).map((delta) => ({ type: "text-delta", id: "0", delta })),
    { type: "text-end", id: "0" },
    { type: "finish-step" },
    { type: "finish", finishReason: "stop" },
  ];
}
