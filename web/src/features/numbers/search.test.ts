/** The address of the numbers page, as people share, keep and mistype it. */
import { describe, expect, it } from "vitest";
import { makeCall } from "@/test/calls";
import {
  filtersOf,
  isFiltered,
  listFiltersOf,
  matches,
  readSearch,
  withoutFilters,
} from "./search";

const ID = "019a0000-0000-7000-8000-000000000001";

describe("readSearch", () => {
  it("keeps what it knows", () => {
    const search = {
      range: "7d",
      request_model: "gpt-4o",
      status: "error",
      user_id: ID,
      by: "user",
      of: "cost_usd",
      call: ID,
    };
    expect(readSearch(search)).toMatchObject(search);
  });

  it("leaves out what cannot be", () => {
    const read = readSearch({
      range: "3y",
      status: "fine",
      kind: 7,
      user_id: "me",
      by: "colour",
      bucket: "second",
      call: "../../etc",
      provider_name: "",
      request_model: "m".repeat(257),
    });
    expect(read.range).toBe("1h");
    expect(Object.values(read).filter((value) => value !== undefined)).toEqual(["1h"]);
  });

  it("takes a model whose name looks like a number", () => {
    expect(readSearch({ request_model: 4 }).request_model).toBe("4");
  });

  it("takes two moments only together and in their order", () => {
    const [from, to] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
    expect(readSearch({ range: "custom", from, to })).toMatchObject({ range: "custom", from, to });
    expect(readSearch({ range: "custom", from }).range).toBe("1h");
    expect(readSearch({ range: "custom", from: to, to: from }).range).toBe("1h");
  });
});

it("tells what narrows the page from what narrows the list", () => {
  const search = readSearch({ range: "1h", kind: "chat", error_type: "timeout", by: "kind" });
  expect(filtersOf(search)).toEqual({ kind: "chat" });
  expect(listFiltersOf(search)).toEqual({ error_type: "timeout" });
  const cleared = withoutFilters(search);
  expect(isFiltered(cleared)).toBe(false);
  expect(listFiltersOf(cleared)).toEqual({});
  expect(cleared).toMatchObject({ range: "1h", by: "kind" });
});

it("knows which calls a filter shows", () => {
  const call = makeCall({ kind: "chat", status: "error", error_type: "timeout", owner_id: ID });
  const shown = (only: Parameters<typeof matches>[1]) => matches(call, only);
  expect(shown({})).toBe(true);
  expect(shown({ kind: "chat", status: "error", user_id: ID, error_type: "timeout" })).toBe(true);
  expect(shown({ finish_reason: "stop" })).toBe(true);
  expect(shown({ kind: "title" })).toBe(false);
  expect(shown({ finish_reason: "length" })).toBe(false);
  expect(shown({ user_id: "019a0000-0000-7000-8000-000000000002" })).toBe(false);
});
