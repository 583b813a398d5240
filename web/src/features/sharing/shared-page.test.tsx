/** What a visitor is told of a link that shows nothing. */
import { screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { queryClient } from "@/lib/query-client";
import { renderPage } from "@/test/page";
import { problemResponse, serve } from "@/test/streams";
import { SharedPage } from "./shared-page";

it.each([
  [410, "This link has run out"],
  [404, "This link leads nowhere"],
])("tells a link that ran out from one that is unknown: %i", async (status, title) => {
  queryClient.clear();
  serve(problemResponse(status, "Not to be read."));
  await renderPage(SharedPage, "/shared/$token", "/shared/a");
  expect(await screen.findByRole("heading", { name: title })).toBeDefined();
});
