/** What is asked of the server, and where downloads lead. */
import { expect, it, vi } from "vitest";
import { exportUrl, numbersApi, viewUrl } from "./api";

const SPAN = { from: new Date("2026-11-21T00:00:00Z"), to: new Date("2026-11-22T00:00:00Z") };

function answer(status: number, body: unknown): Response {
  const type = status === 200 ? "application/json" : "application/problem+json";
  return new Response(JSON.stringify(body), { status, headers: { "content-type": type } });
}

it("names the span, the filters and what the view takes", () => {
  const of = "from=2026-11-21T00%3A00%3A00.000Z&to=2026-11-22T00%3A00%3A00.000Z";
  expect(viewUrl({ name: "breakdown", by: "kind" }, SPAN, { status: "error" }, "csv")).toBe(
    `/api/metrics/breakdown?${of}&status=error&by=kind&format=csv`,
  );
  expect(exportUrl(SPAN, { error_type: "timeout" }, "json")).toBe(
    `/api/metrics/export?${of}&error_type=timeout&format=json`,
  );
});

it("counts by UTC where the server does not know the browser's zone", async () => {
  const asked = vi.fn<(path: string) => Promise<Response>>(async (path) =>
    path.includes("tz=UTC")
      ? answer(200, { items: [] })
      : answer(422, { detail: "No such zone.", errors: [{ field: "tz", detail: "No." }] }),
  );
  vi.stubGlobal("fetch", asked);

  const found = await numbersApi.view({ name: "series", tz: "Etc/Unknown" }, SPAN, {});

  expect(found.items).toEqual([]);
  expect(asked).toHaveBeenCalledTimes(2);
});

it("leaves other refusals as they are", async () => {
  const asked = vi.fn(async () =>
    answer(422, { detail: "Too long.", errors: [{ field: "from", detail: "Too long." }] }),
  );
  vi.stubGlobal("fetch", asked);

  const reading = numbersApi.view({ name: "overview", tz: "Europe/Berlin" }, SPAN, {});

  await expect(reading).rejects.toThrow("Too long.");
  expect(asked).toHaveBeenCalledOnce();
});
