/** The live tail, over a stand-in for the browser's event source. */
import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { makeCall } from "@/test/calls";
import { merge, useLiveCalls } from "./live";

class FakeSource {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  readyState = 0;
  onopen = () => {};
  onerror = () => {};
  private listener: (event: { data: string }) => void = () => {};
  constructor() {
    FakeSource.made.push(this);
  }
  addEventListener(_: string, listener: FakeSource["listener"]) {
    this.listener = listener;
  }
  tell(id: string, started_at: string) {
    this.listener({ data: JSON.stringify(makeCall({ id, started_at })) });
  }
  close() {
    this.readyState = FakeSource.CLOSED;
  }
}

const ignore = () => {};

function last(): FakeSource {
  const source = FakeSource.made.at(-1);
  if (source === undefined) throw new Error("nothing was followed");
  return source;
}

describe("useLiveCalls", () => {
  beforeEach(() => {
    FakeSource.made = [];
    vi.stubGlobal("EventSource", FakeSource);
  });

  it("follows while it is on, and asks for what it missed before", () => {
    const onOpen = vi.fn();
    const { result, rerender } = renderHook(({ on }) => useLiveCalls(on, undefined, onOpen), {
      initialProps: { on: false },
    });
    expect(FakeSource.made).toHaveLength(0);

    rerender({ on: true });
    act(() => last().onopen());
    act(() => last().tell("a", "2026-11-21T12:00:00Z"));
    expect(result.current.state).toBe("live");
    expect(result.current.calls.map(({ id }) => id)).toEqual(["a"]);
    expect(onOpen).toHaveBeenCalledOnce();

    rerender({ on: false });
    expect(last().readyState).toBe(FakeSource.CLOSED);
    expect(result.current.state).toBe("off");
  });

  it("tells a lost connection from a refusal", () => {
    const { result } = renderHook(() => useLiveCalls(true, undefined, ignore));
    act(() => last().onerror());
    expect(result.current.state).toBe("connecting");
    last().close();
    act(() => last().onerror());
    expect(result.current.state).toBe("broken");
  });

  it("rests in a tab that nobody sees", () => {
    const { result } = renderHook(() => useLiveCalls(true, undefined, ignore));
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    expect(last().readyState).toBe(FakeSource.CLOSED);
    hidden.mockReturnValue(false);
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    expect(FakeSource.made).toHaveLength(2);
    expect(result.current.state).toBe("connecting");
  });
});

it("puts live calls and listed ones together, the newest first, each once", () => {
  const call = (id: string, second: string) =>
    makeCall({ id, started_at: `2026-11-21T12:00:${second}Z` });
  const all = merge([call("c", "02.5"), call("b", "01")], [call("b", "01"), call("a", "02")]);
  expect(all.map(({ id }) => id)).toEqual(["c", "a", "b"]);
});
