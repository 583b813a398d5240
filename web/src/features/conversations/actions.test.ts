import { waitFor } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { ConversationItem } from "@/lib/api";
import { keys, queryClient } from "@/lib/query-client";
import { toasts } from "@/lib/toasts";
import { conversationWith } from "@/test/conversations";
import { problemResponse, serve } from "@/test/streams";
import { archive, arrange, deleteWithUndo } from "./actions";
import { ARCHIVED, itemsOf, type ListData, listQuery, RECENT } from "./lists";

const a = conversationWith("a", { updated_at: "2026-11-21T12:00:00Z" });
const b = conversationWith("b", { updated_at: "2026-11-20T12:00:00Z" });

function load(filter: typeof RECENT, items: ConversationItem[]) {
  queryClient.setQueryData<ListData>(listQuery(filter).queryKey, {
    pages: [{ items, next_cursor: null }],
    pageParams: [null],
  });
}

function shown(filter = RECENT): string[] {
  const data = queryClient.getQueryData<ListData>(listQuery(filter).queryKey);
  return data ? itemsOf(data).map(({ title }) => title) : [];
}

/** An answer that the test gives when it likes to. */
function later() {
  let answer: (response: Response) => void = () => {};
  const response = new Promise<Response>((resolve) => {
    answer = resolve;
  });
  return { response, answer };
}

beforeEach(() => {
  queryClient.clear();
  toasts.set([]);
  load(RECENT, [a, b]);
  load(ARCHIVED, []);
});

it("shows a new title before the server has it, then as the server has it", async () => {
  const { response, answer } = later();
  const sent = serve(() => response);
  const renamed = arrange(b, { title: "  Rivers " });
  await waitFor(() => expect(shown()).toEqual([a.title, "  Rivers "]));

  answer(
    Response.json({ ...b, title: "Rivers", messages: [], system_prompt: null, parameters: {} }),
  );
  await renamed;

  expect(shown()).toEqual([a.title, "Rivers"]);
  expect(sent[0]).toMatchObject({ method: "PATCH", body: { title: "  Rivers " } });
});

it("takes a change back that the server refuses", async () => {
  serve(problemResponse(422, "Too long."));
  await expect(arrange(b, { pinned: true })).rejects.toThrow("Too long.");
  expect(shown()).toEqual([a.title, b.title]);
});

it("moves what is archived to its list, and back by undo", async () => {
  const answered = (archived: boolean) => Response.json({ ...a, archived, messages: [] });
  serve(answered(true), answered(false));
  archive(a, true);
  await waitFor(() => expect(toasts.get()).toHaveLength(1));
  expect(shown()).toEqual([b.title]);
  expect(shown(ARCHIVED)).toEqual([a.title]);

  toasts.get()[0]?.action?.run();
  await waitFor(() => expect(shown()).toEqual([a.title, b.title]));
  expect(shown(ARCHIVED)).toEqual([]);
});

it("deletes at once, leaves the page, and restores by undo", async () => {
  const sent = serve(new Response(null, { status: 204 }), Response.json({ ...a, messages: [] }));
  const leave = vi.fn();
  const comeBack = vi.fn();
  deleteWithUndo(a, { leave, comeBack });
  expect(leave).toHaveBeenCalledOnce();
  await waitFor(() => expect(toasts.get()).toHaveLength(1));
  expect(shown()).toEqual([b.title]);
  expect(comeBack).not.toHaveBeenCalled();

  toasts.get()[0]?.action?.run();
  await waitFor(() => expect(comeBack).toHaveBeenCalledOnce());
  expect(shown()).toEqual([a.title, b.title]);
  expect(sent.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "DELETE /api/conversations/a",
    "POST /api/conversations/a/restore",
  ]);
});

it("brings back what could not be deleted, and says why", async () => {
  serve(problemResponse(503, "The database is down."));
  const comeBack = vi.fn();
  deleteWithUndo(a, { leave: vi.fn(), comeBack });
  await waitFor(() => expect(comeBack).toHaveBeenCalledOnce());
  expect(shown()).toEqual([a.title, b.title]);
  expect(toasts.get()[0]).toMatchObject({
    tone: "destructive",
    text: "It could not be deleted. The database is down.",
  });
});

it("reads the lists again after the last of several changes, not between them", async () => {
  const [first, second] = [later(), later()];
  serve(
    () => first.response,
    () => second.response,
  );
  const invalidate = vi.spyOn(queryClient, "invalidateQueries");
  const changes = [arrange(a, { pinned: true }), arrange(b, { pinned: true })];
  first.answer(Response.json({ ...a, pinned: true, messages: [] }));
  await changes[0];
  expect(invalidate).not.toHaveBeenCalled();
  second.answer(Response.json({ ...b, pinned: true, messages: [] }));
  await changes[1];
  expect(invalidate.mock.calls).toEqual([
    [{ queryKey: keys.conversations }],
    [{ queryKey: keys.tags }],
  ]);
});
