import { expect, it } from "vitest";
import { problemResponse, serve } from "@/test/streams";
import type { ImportReport } from "./api";
import {
  byReason,
  type ExportedPart,
  exportAccount,
  importFile,
  mediaTypeOf,
  nextPath,
  partName,
} from "./transfer";

const { signal } = new AbortController();
const HERE = "It is here already.";

function part(content: string, link?: string): Response {
  const headers = new Headers({ "content-disposition": 'attachment; filename="tailrace-1.zip"' });
  if (link) headers.set("link", link);
  return new Response(content, { headers });
}

function report(given: Partial<ImportReport>): ImportReport {
  return {
    found: 0,
    imported: 0,
    messages: 0,
    complete: true,
    items: [],
    skipped: [],
    left_out: {},
    ...given,
  };
}

function taken(id: string) {
  return { id, source: "chatgpt" as const, source_id: `s-${id}`, title: id, messages: 2 };
}

function skipped(title: string | null, reason = HERE) {
  return { id: null, title, reason };
}

it("follows an export to its last part", async () => {
  const sent = serve(part("one", '</api/export?after=x>; rel="next"'), part("two"));
  const parts: ExportedPart[] = [];
  expect(await exportAccount((next) => parts.push(next), signal)).toBe(2);
  expect(sent.map(({ url }) => url)).toEqual(["/api/export", "/api/export?after=x"]);
  expect(parts.map(({ filename }) => filename)).toEqual([
    "tailrace-1.part-1.zip",
    "tailrace-1.part-2.zip",
  ]);
  expect(await Promise.all(parts.map(({ blob }) => blob.text()))).toEqual(["one", "two"]);
});

it("hands over the parts it has before one fails", async () => {
  serve(part("one", '</api/export?after=x>; rel="next"'), problemResponse(409, "Under way."));
  const parts: ExportedPart[] = [];
  await expect(exportAccount((next) => parts.push(next), signal)).rejects.toThrow("Under way.");
  expect(parts).toHaveLength(1);
});

it("goes nowhere but to the next part of the export", () => {
  expect(nextPath(null)).toBeNull();
  expect(nextPath('</api/export?after=x>; rel="prev"')).toBeNull();
  expect(nextPath('<https://example.com/api/export?after=x>; rel="next"')).toBeNull();
});

it("names the only part of an export as the server does", () => {
  expect(partName('attachment; filename="tailrace-1.zip"', null)).toBe("tailrace-1.zip");
  expect(partName(null, 2)).toBe("tailrace.part-2.zip");
});

it("sends an import again until all was looked at, and tells of everything once", async () => {
  // The second turn passes over what the first was done with, in the same order.
  const sent = serve(
    Response.json(
      report({
        found: 4,
        imported: 1,
        messages: 2,
        complete: false,
        items: [taken("a")],
        skipped: [skipped("bad", "It holds no messages.")],
        left_out: { images: 1 },
      }),
    ),
    Response.json(
      report({
        found: 4,
        imported: 1,
        messages: 3,
        items: [taken("c")],
        skipped: [skipped("a"), skipped("bad", "It holds no messages."), skipped("d")],
        left_out: { images: 2, "calls of tools": 1 },
      }),
    ),
  );
  const seen: number[] = [];
  const file = new File(["{}"], "conversations.json");
  const whole = await importFile(file, ({ imported }) => seen.push(imported), signal);

  expect(sent.map(({ headers }) => headers.get("content-type"))).toEqual([
    "application/json",
    "application/json",
  ]);
  expect(seen).toEqual([1, 2]);
  expect(whole).toEqual(
    report({
      found: 4,
      imported: 2,
      messages: 5,
      items: [taken("a"), taken("c")],
      skipped: [skipped("bad", "It holds no messages."), skipped("d")],
      left_out: { images: 3, "calls of tools": 1 },
    }),
  );
});

it("gives up an import that gets no further", async () => {
  const stuck = () => Response.json(report({ found: 2, complete: false, skipped: [skipped("a")] }));
  serve(stuck, stuck, stuck);
  await expect(importFile(new File(["{}"], "a.json"), () => {}, signal)).rejects.toThrow(
    "gets no further",
  );
});

it("tells zips from JSON by name or type", () => {
  expect(mediaTypeOf({ name: "export.ZIP", type: "" })).toBe("application/zip");
  expect(mediaTypeOf({ name: "x", type: "application/x-zip-compressed" })).toBe("application/zip");
  expect(mediaTypeOf({ name: "conversations.json", type: "" })).toBe("application/json");
});

it("gathers what was not taken by the reason, the commonest first", () => {
  const all = report({ skipped: [skipped(null, "Empty."), skipped("a"), skipped("b")] });
  expect(byReason(all)).toEqual([
    [HERE, ["a", "b"]],
    ["Empty.", ["Without a title"]],
  ]);
});
