/** Streams that break, stall, replay and end, and what the reader gets of them. */
import { describe, expect, it, vi } from "vitest";
import { body, DONE, frames, streamResponse } from "@/test/streams";
import { type Connection, followStream, parseFrame, StreamLostError } from "./sse";

const PARTS = ["a", "b", "c", "d"];

async function read(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  return text
    .split("\n\n")
    .slice(0, -1)
    .map((block) => parseFrame(block)?.data ?? "");
}

describe("followStream", () => {
  it("hands over what arrives, and does not come back after [DONE]", async () => {
    const reopen = vi.fn();
    const got = await read(followStream(body([...frames(PARTS), DONE]), { reopen }));
    expect(got).toEqual(['"a"', '"b"', '"c"', '"d"', "[DONE]"]);
    expect(reopen).not.toHaveBeenCalled();
  });

  it.each(["close", "break"] as const)("goes on after the last frame on %s", async (end) => {
    const states: Connection[] = [];
    const reopen = vi.fn(async () => streamResponse([...frames(["c", "d"], 3), DONE]));
    const got = await read(
      followStream(body(frames(["a", "b"]), end), {
        reopen,
        delay: () => 0,
        onConnection: (state) => states.push(state),
      }),
    );
    expect(got).toEqual(['"a"', '"b"', '"c"', '"d"', "[DONE]"]);
    expect(reopen).toHaveBeenCalledExactlyOnceWith("2");
    expect(states).toEqual(["reconnecting", "live"]);
  });

  it("asks from the start when nothing whole has arrived", async () => {
    const reopen = vi.fn(async () => streamResponse([...frames(["a"]), DONE]));
    const cut = body(['id: 1\ndata: "half of a fr']);
    expect(await read(followStream(cut, { reopen, delay: () => 0 }))).toEqual(['"a"', "[DONE]"]);
    expect(reopen).toHaveBeenCalledExactlyOnceWith(null);
  });

  it("shows no frame twice when the server replays from the start", async () => {
    const reopen = async () => streamResponse([...frames(PARTS), DONE]);
    const got = await read(followStream(body(frames(["a", "b"])), { reopen, delay: () => 0 }));
    expect(got).toEqual(['"a"', '"b"', '"c"', '"d"', "[DONE]"]);
  });

  it("puts frames together that arrive in pieces, and skips keep-alives", async () => {
    const text = [...frames(["ä…"]), ": keep-alive\n\n", DONE].join("");
    const bytes = new TextEncoder().encode(text);
    const one_by_one = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    expect(await read(followStream(one_by_one, { reopen: vi.fn() }))).toEqual(['"ä…"', "[DONE]"]);
  });

  it("tries again while the server is away, and gives up after the last attempt", async () => {
    const reopen = vi.fn(async () => new Response(null, { status: 503 }));
    reopen.mockImplementationOnce(async () => {
      throw new TypeError("Failed to fetch");
    });
    const followed = followStream(body(frames(["a"])), { reopen, delay: () => 0, attempts: 4 });
    await expect(read(followed)).rejects.toBeInstanceOf(StreamLostError);
    expect(reopen).toHaveBeenCalledTimes(4);
  });

  it("counts attempts anew once frames arrive again", async () => {
    let next = 2;
    const reopen = vi.fn(async () =>
      next < 6 ? streamResponse(frames([next], next++)) : streamResponse([DONE]),
    );
    const followed = followStream(body(frames([1])), { reopen, delay: () => 0, attempts: 1 });
    expect(await read(followed)).toEqual(["1", "2", "3", "4", "5", "[DONE]"]);
  });

  it("gives up at once when there is nothing to follow any more", async () => {
    const reopen = vi.fn(async () => new Response(null, { status: 204 }));
    const followed = followStream(body(frames(["a"])), { reopen, delay: () => 0 });
    await expect(read(followed)).rejects.toBeInstanceOf(StreamLostError);
    expect(reopen).toHaveBeenCalledOnce();
  });

  it("takes silence for a lost connection", async () => {
    const reopen = vi.fn(async () => streamResponse([DONE]));
    const silent = body(frames(["a"]), "open");
    expect(await read(followStream(silent, { reopen, delay: () => 0, stall: 20 }))).toEqual([
      '"a"',
      "[DONE]",
    ]);
  });

  it("does not wait on when the network comes back", async () => {
    const reopen = async () => streamResponse([DONE]);
    const followed = read(
      followStream(body(frames(["a"])), {
        reopen,
        delay: () => 60_000,
        onConnection: () => setTimeout(() => window.dispatchEvent(new Event("online"))),
      }),
    );
    expect(await followed).toEqual(['"a"', "[DONE]"]);
  });

  it("stops with its signal, without reconnecting", async () => {
    const abort = new AbortController();
    const reopen = vi.fn();
    const followed = followStream(body(frames(["a"]), "open"), { reopen, signal: abort.signal });
    const reader = followed.getReader();
    await reader.read();
    abort.abort();
    await expect(reader.read()).rejects.toThrow();
    expect(reopen).not.toHaveBeenCalled();
  });
});

describe("parseFrame", () => {
  it("joins lines of data, and knows comments", () => {
    expect(parseFrame("id: 7\r\ndata: a\r\ndata:b")).toEqual({ id: "7", data: "a\nb" });
    expect(parseFrame(": keep-alive")).toBeNull();
  });
});
