/** The page of a reset link keeps its token to itself. */
import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { renderPage } from "@/test/page";
import { serve } from "@/test/streams";
import { ResetPage } from "./reset-page";

const GUEST = { kind: "guest", id: "g", email: null, role: null };

async function open(address: string) {
  const router = await renderPage(ResetPage, "/reset-password", address);
  await screen.findByRole("heading", { name: "Choose a new password" });
  return router;
}

it("takes the token out of the address, and sends it in the body alone", async () => {
  const sent = serve(
    Response.json(GUEST),
    new Response(null, { status: 204 }),
    Response.json(GUEST),
  );
  const router = await open("/reset-password#token=s3cret");
  await expect.poll(() => router.state.location.href).toBe("/reset-password");

  await userEvent.type(screen.getByLabelText("New password"), "correct horse battery");
  await userEvent.click(screen.getByRole("button", { name: "Change the password" }));

  await screen.findByText(/Your password is changed/);
  const confirm = sent.find(({ method }) => method === "POST");
  expect(confirm).toMatchObject({
    url: "/api/auth/password-reset/confirm",
    body: { token: "s3cret", password: "correct horse battery" },
  });
  expect(sent.map(({ url }) => url).join()).not.toContain("s3cret");
});

it("says what to do without a token", async () => {
  await open("/reset-password");
  expect(screen.getByRole("alert").textContent).toMatch(/opened by the link in a mail/);
  screen.getByRole("button", { name: "Ask for a link" });
});
