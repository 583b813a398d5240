/** What CloudFront wants to know of a body before it has seen it. */
import { describe, expect, it, vi } from "vitest";
import { request } from "./api";
import { withDigest } from "./digest";

const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const digest = async (init?: RequestInit) =>
  new Headers((await withDigest(init)).headers).get("x-amz-content-sha256");

describe("withDigest", () => {
  it("hashes every kind of body that we send", async () => {
    for (const body of ["abc", new Blob(["abc"]), new TextEncoder().encode("abc")]) {
      expect(await digest({ method: "POST", body })).toBe(ABC);
    }
  });

  it("hashes nothing where nothing is sent", async () => {
    expect(await digest({ method: "DELETE" })).toBe(EMPTY);
    expect(await digest({})).toBeNull();
    expect(await digest()).toBeNull();
  });

  it("keeps the other headers", async () => {
    const { headers } = await withDigest({
      method: "PUT",
      body: "abc",
      headers: { "content-type": "text/plain" },
    });
    expect(new Headers(headers).get("content-type")).toBe("text/plain");
  });

  it("does without where the browser cannot hash", async () => {
    vi.stubGlobal("crypto", {});
    expect(await digest({ method: "POST", body: "abc" })).toBeNull();
  });

  it("is on every request to the API", async () => {
    const fetched = vi.fn(async (_: string, init?: RequestInit) => new Response(null, init));
    vi.stubGlobal("fetch", fetched);
    await request("/api/auth/logout", { method: "POST" });
    expect(new Headers(fetched.mock.lastCall?.[1]?.headers).get("x-amz-content-sha256")).toBe(
      EMPTY,
    );
  });
});
