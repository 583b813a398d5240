/** The ways in, as an installation offers them. The server is played by the test. */
import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { queryClient } from "@/lib/query-client";
import { renderPage } from "@/test/page";
import { serve } from "@/test/streams";
import type { AuthOptions } from "./api";
import { AuthDialog } from "./auth-dialog";
import { closeAuth, openAuth } from "./auth-dialog-state";

const OPTIONS: AuthOptions = { registration: "open", password_reset: true, oidc: null };

async function open(options: Partial<AuthOptions>, ...answers: Response[]) {
  const sent = serve(Response.json({ ...OPTIONS, ...options }), ...answers);
  openAuth("login");
  await renderPage(AuthDialog, "/");
  return { sent, dialog: within(await screen.findByRole("dialog")) };
}

function tooMany(seconds: number): Response {
  return Response.json(
    { status: 429, detail: "There were too many attempts. Try again later." },
    {
      status: 429,
      headers: { "content-type": "application/problem+json", "retry-after": String(seconds) },
    },
  );
}

beforeEach(() => {
  queryClient.clear();
  closeAuth();
});

describe("what is offered", () => {
  it("is everything where everything is there", async () => {
    const { dialog } = await open({ oidc: "Example ID" });
    await dialog.findByRole("button", { name: "Continue with Example ID" });
    await dialog.findByRole("button", { name: "Forgot your password?" });
    dialog.getByRole("tab", { name: "Register" });
  });

  it("is no registration where it is closed, and no link where no mail is sent", async () => {
    const { dialog } = await open({ registration: "closed", password_reset: false });
    await dialog.findByText(/New accounts cannot be made here/);
    expect(dialog.queryByRole("tab")).toBeNull();
    expect(dialog.queryByRole("button", { name: /Continue with|Forgot/ })).toBeNull();
    dialog.getByRole("button", { name: "Sign in" });
  });
});

it("says when it may be tried again after too many attempts, and waits with it", async () => {
  const { dialog, sent } = await open({}, tooMany(840));
  await userEvent.type(dialog.getByLabelText("Email"), "ada@example.com");
  await userEvent.type(dialog.getByLabelText("Password"), "a wrong one entirely");
  await userEvent.click(dialog.getByRole("button", { name: "Sign in" }));

  const refusal = await dialog.findByRole("alert");
  expect(refusal.textContent).toBe(
    "There were too many attempts. Try again later. You can try again in 14 minutes.",
  );
  expect(dialog.getByRole("button", { name: "Sign in" })).toHaveProperty("disabled", true);
  expect(sent.filter(({ url }) => url === "/api/auth/login")).toHaveLength(1);
});

it("says the same of a reset link whoever has the address", async () => {
  const { dialog, sent } = await open({}, Response.json({ status: "accepted" }, { status: 202 }));
  await userEvent.click(await dialog.findByRole("button", { name: "Forgot your password?" }));
  await userEvent.type(dialog.getByLabelText("Email"), " nobody@example.com ");
  await userEvent.click(dialog.getByRole("button", { name: "Send the link" }));

  await dialog.findByText(/If there is an account with this address/);
  expect(sent.at(-1)).toMatchObject({
    url: "/api/auth/password-reset",
    body: { email: "nobody@example.com" },
  });
});
