/** Setting how a conversation is held. */
import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import { queryClient } from "@/lib/query-client";
import { branchOf } from "@/test/branches";
import { modelWith } from "@/test/models";
import { hooksWith } from "@/test/sessions";
import { serve } from "@/test/streams";
import { Session } from "./session";
import { SettingsSheet } from "./settings-sheet";

function setUp() {
  const onClose = vi.fn();
  const items = [modelWith("scripted/echo"), modelWith("scripted/story")];
  render(
    <QueryClientProvider client={queryClient}>
      <SettingsSheet
        session={new Session("c1", hooksWith(), "scripted/echo")}
        settings={{
          system_prompt: null,
          parameters: { max_output_tokens: 100, reasoning_effort: null, temperature: null },
        }}
        model="scripted/echo"
        models={{ items, default: null }}
        onClose={onClose}
      />
    </QueryClientProvider>,
  );
  return { onClose, save: () => userEvent.click(screen.getByRole("button", { name: "Save" })) };
}

it("sends what was changed, parameters all at once", async () => {
  const { onClose, save } = setUp();
  const sent = serve(Response.json(branchOf([])));
  await userEvent.type(screen.getByLabelText("System prompt"), "Be brief.");
  await userEvent.type(screen.getByLabelText("Temperature"), "0,7");
  await userEvent.selectOptions(screen.getByLabelText("Reasoning effort"), "High");
  await save();
  await waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(sent[0]?.body).toEqual({
    system_prompt: "Be brief.",
    parameters: { temperature: 0.7, max_output_tokens: 100, reasoning_effort: "high" },
  });
});

it("shows what is wrong with a field beside it, and keeps what was written", async () => {
  const { onClose, save } = setUp();
  const errors = [{ field: "parameters.max_output_tokens", detail: "At most 4,096 tokens." }];
  const sent = serve(
    Response.json(
      { type: "about:blank", title: "Invalid request", status: 422, detail: "No.", errors },
      { status: 422, headers: { "content-type": "application/problem+json" } },
    ),
  );
  const field = screen.getByLabelText("Longest answer");
  await userEvent.clear(field);
  await userEvent.type(field, "lots");
  await save();
  expect(await screen.findByRole("alert")).toHaveProperty("textContent", "At most 4,096 tokens.");
  expect(sent[0]?.body).toMatchObject({ parameters: { max_output_tokens: "lots" } });
  expect(field.getAttribute("aria-invalid")).toBe("true");
  expect(onClose).not.toHaveBeenCalled();
});
