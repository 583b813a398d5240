/** Files on their way to the server, which the test plays, and the browser's requests with it. */
import { waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { problemResponse, serve } from "@/test/streams";
import type { Prepared } from "./attachments";
import { upload } from "./uploads";

const URL = "/api/attachments/01a20029-2500-7691-82d0-cb58259cee26/content";
const HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

class Request {
  static all: Request[] = [];
  upload: { onprogress?: (event: { loaded: number; total: number }) => void } = {};
  headers: Record<string, string> = {};
  status = 0;
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;
  address = "";
  body: unknown;

  open(method: string, url: string) {
    this.address = `${method} ${url}`;
    Request.all.push(this);
  }
  setRequestHeader(name: string, value: string) {
    this.headers[name] = value;
  }
  send(body: unknown) {
    this.body = body;
  }
  abort() {
    this.onabort?.();
  }
  end(status: number) {
    this.status = status;
    this.onload?.();
    this.onloadend?.();
  }
}

function prepared(content: string, filename = "a.txt", mediaType = "text/plain"): Prepared {
  const blob = new Blob([content]);
  const attachment = { id: "1", filename, mediaType, size: blob.size, url: null };
  return { content: blob, attachment };
}

const begun = () =>
  Response.json({
    id: "a1",
    media_type: "text/plain",
    url: URL,
    upload: { method: "PUT", url: "https://bucket/a1", headers: { "x-sum": "1" } },
  });
const stored = () => Response.json({ id: "a1", media_type: "text/plain", url: URL });

function start(...answers: Parameters<typeof serve>) {
  Request.all = [];
  vi.stubGlobal("XMLHttpRequest", Request);
  const abort = new AbortController();
  const onProgress = vi.fn();
  const sent = serve(...answers);
  return { sent, abort, onProgress, hooks: { signal: abort.signal, onProgress } };
}

afterEach(() => vi.unstubAllGlobals());

describe("upload", () => {
  it("announces a file by its hash, sends it as it is told to, and has it looked at", async () => {
    const { sent, onProgress, hooks } = start(begun(), stored());
    const done = upload(prepared("hello"), hooks);
    await waitFor(() => expect(Request.all).toHaveLength(1));
    expect(sent[0]).toMatchObject({
      url: "/api/attachments",
      body: { filename: "a.txt", media_type: "text/plain", size: 5, sha256: HELLO },
    });
    const [request] = Request.all;
    expect(request).toMatchObject({ address: "PUT https://bucket/a1", headers: { "x-sum": "1" } });
    request?.upload.onprogress?.({ loaded: 1, total: 4 });
    expect(onProgress).toHaveBeenCalledExactlyOnceWith(0.25);
    request?.end(200);
    expect(await done).toMatchObject({ filename: "a.txt", url: URL });
    expect(sent[1]?.url).toBe("/api/attachments/a1/complete");
  });

  it("sends nothing that the server has", async () => {
    const { hooks } = start(Response.json({ id: "a1", media_type: "x/y", url: URL, upload: null }));
    expect(await upload(prepared("hello"), hooks)).toMatchObject({ url: URL, mediaType: "x/y" });
    expect(Request.all).toEqual([]);
  });

  it("goes on where another tab was faster with the same bytes", async () => {
    const { hooks } = start(begun(), stored());
    const done = upload(prepared("hello"), hooks);
    await waitFor(() => expect(Request.all).toHaveLength(1));
    Request.all[0]?.end(409);
    expect(await done).toMatchObject({ url: URL });
  });

  it("says of a picture what it is, whatever its name says", async () => {
    const { sent, hooks } = start(problemResponse(422, "No."));
    const jpeg = prepared("", "a.png", "image/png");
    const content = new Blob([new Uint8Array([0xff, 0xd8, 0xff, 0xe0])]);
    await expect(upload({ ...jpeg, content }, hooks)).rejects.toThrow(
      "a.png was not uploaded. No.",
    );
    expect(sent[0]?.body.media_type).toBe("image/jpeg");
  });

  it("puts a file into the message where the server keeps none", async () => {
    const { hooks } = start(problemResponse(501, "No store."));
    const { url } = await upload(prepared("hello"), hooks);
    expect(url).toBe(`data:text/plain;base64,${btoa("hello")}`);
  });

  it.each([
    ["is refused", (request: Request) => request.end(403), "The server answered 403."],
    ["breaks off", (request: Request) => request.onerror?.(), "cannot be reached"],
  ])("says when it %s", async (_, act, said) => {
    const { hooks } = start(begun());
    const done = upload(prepared("hello"), hooks);
    await waitFor(() => expect(Request.all).toHaveLength(1));
    act(Request.all[0] as Request);
    await expect(done).rejects.toThrow(said);
  });

  it("is given up on demand", async () => {
    const { abort, hooks, sent } = start(begun());
    const done = upload(prepared("hello"), hooks);
    await waitFor(() => expect(Request.all).toHaveLength(1));
    abort.abort();
    await expect(done).rejects.toThrow();
    expect(sent).toHaveLength(1);
  });
});
