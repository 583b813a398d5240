/** Errors of the API as sentences, and at the fields they are about. */
import { describe, expect, it } from "vitest";
import { fieldErrors, ProblemError, problemFrom, sentence } from "./problem";

const problem = (errors: { field: string; detail: string }[]) =>
  new ProblemError({ status: 422, title: "Invalid request", detail: "Not good.", errors });

describe("problemFrom", () => {
  it("reads problem details and Retry-After", async () => {
    const error = await problemFrom(
      Response.json(
        { title: "Guest limit reached", status: 429, detail: "Sign in to go on." },
        {
          status: 429,
          headers: { "content-type": "application/problem+json", "retry-after": "30" },
        },
      ),
    );
    expect(error).toMatchObject({
      status: 429,
      title: "Guest limit reached",
      message: "Sign in to go on.",
      retry_after: 30,
    });
  });

  it.each([
    ["text/html", "<h1>Bad gateway</h1>"],
    ["application/json", "<h1>Bad gateway</h1>"],
  ])("makes do with the status of a %s page", async (type, text) => {
    const error = await problemFrom(
      new Response(text, { status: 502, headers: { "content-type": type } }),
    );
    expect(error.status).toBe(502);
    expect(sentence(error)).toMatch(/could not answer just now/);
  });
});

describe("fieldErrors", () => {
  const names = ["email", "password"] as const;

  it("puts each detail at its field, wherever the path begins", () => {
    const error = problem([
      { field: "body.email", detail: "Not an address." },
      { field: "password", detail: "Too short." },
      { field: "password", detail: "Too plain." },
    ]);
    expect(fieldErrors(error, names)).toEqual({
      fields: { email: "Not an address.", password: "Too short." },
      rest: null,
    });
  });

  it("says nothing where nothing went wrong", () => {
    expect(fieldErrors(null, names)).toEqual({ fields: {}, rest: null });
  });

  it("keeps what fits no field as a sentence", () => {
    expect(fieldErrors(problem([]), names)).toEqual({ fields: {}, rest: "Not good." });
    expect(fieldErrors(problem([{ field: "captcha", detail: "Missing." }]), names)).toEqual({
      fields: {},
      rest: "Missing.",
    });
    expect(fieldErrors(new TypeError("Failed to fetch"), names).rest).toMatch(/cannot be reached/);
  });
});
