/** What can be done with a message, by whom and when. */
import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ComponentProps } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import { keys, queryClient } from "@/lib/query-client";
import { modelWith } from "@/test/models";
import { serve } from "@/test/streams";
import { Message } from "./message";
import type { ChatMessage, MessageMetadata } from "./messages";

function setUp(message: ChatMessage, given: Partial<ComponentProps<typeof Message>> = {}) {
  const actions = {
    startEdit: vi.fn(),
    changeEdit: vi.fn(),
    cancelEdit: vi.fn(),
    sendEdit: vi.fn(),
    regenerate: vi.fn(),
    select: vi.fn(),
    remove: vi.fn(),
    rate: vi.fn(),
    stop: vi.fn(),
  };
  render(
    <QueryClientProvider client={queryClient}>
      <TooltipProvider>
        <Message
          message={message}
          actions={actions}
          streaming={false}
          busy={false}
          guest={false}
          first={false}
          last={false}
          edit={null}
          marked={false}
          {...given}
        />
      </TooltipProvider>
    </QueryClientProvider>,
  );
  return actions;
}

const answer = (metadata: MessageMetadata = { status: "complete" }): ChatMessage => ({
  id: "a2",
  role: "assistant",
  parts: [{ type: "text", text: "So." }],
  metadata,
});

const question = (metadata: MessageMetadata = {}): ChatMessage => ({
  id: "q1",
  role: "user",
  parts: [{ type: "text", text: "Why?" }],
  metadata,
});

const press = (name: string) => userEvent.click(screen.getByRole("button", { name }));
const has = (name: string) => screen.queryByRole("button", { name }) !== null;

const MODELS = { items: [modelWith("scripted/echo")], default: null };

beforeEach(() => {
  queryClient.setQueryData(keys.models, MODELS);
});

it("is found by its address", () => {
  setUp(answer());
  expect(document.getElementById("m-a2")?.textContent).toContain("So.");
});

describe("versions", () => {
  const siblings = ["a1", "a2", "a3"];

  it("are stepped through", async () => {
    const { select } = setUp(answer({ status: "complete", siblings }));
    expect(screen.getByRole("group", { name: "Versions of this message" }).textContent).toContain(
      "2/3",
    );
    await press("Previous version");
    await press("Next version");
    expect(select.mock.calls).toEqual([["a1"], ["a3"]]);
  });

  it("end, without losing the focus", async () => {
    const { select } = setUp(answer({ status: "complete", siblings: ["a1", "a2"] }));
    const next = screen.getByRole("button", { name: "Next version" });
    expect(next.getAttribute("aria-disabled")).toBe("true");
    await userEvent.click(next);
    expect(select).not.toHaveBeenCalled();
    expect(document.activeElement).toBe(next);
  });

  it("stay as they are while an answer is under way", async () => {
    const { select } = setUp(question({ siblings: ["q1", "q2"] }), { busy: true });
    await press("Next version");
    expect(select).not.toHaveBeenCalled();
  });

  it("are not told of where there is one", () => {
    setUp(answer({ status: "complete", siblings: ["a2"] }));
    expect(screen.queryByRole("group")).toBeNull();
  });
});

describe("an interrupted answer", () => {
  it("says so and can be asked for again", async () => {
    const { regenerate } = setUp(answer({ status: "interrupted" }), { last: true });
    expect(screen.getByRole("status").textContent).toMatch(/was interrupted/);
    await press("Retry");
    expect(regenerate).toHaveBeenCalledExactlyOnceWith("a2");
  });
});

it("can be stopped where it cannot be followed", async () => {
  const { stop } = setUp(answer({ status: "streaming" }), { last: true });
  await press("Stop");
  expect(stop).toHaveBeenCalledOnce();
});

it("is answered again by the model that answered, or the one that is chosen", async () => {
  const { regenerate } = setUp(answer({ status: "complete" }));
  serve(Response.json(MODELS));
  await press("Regenerate");
  expect(regenerate).toHaveBeenLastCalledWith("a2", undefined);
  await press("Regenerate with another model");
  await userEvent.click(screen.getByRole("option", { name: "echo" }));
  expect(regenerate).toHaveBeenLastCalledWith("a2", "scripted/echo");
});

describe("editing", () => {
  it("sends on Enter, breaks the line on Shift+Enter, and ends on Escape", async () => {
    const { sendEdit, cancelEdit, changeEdit } = setUp(question(), { edit: "Why?" });
    const box = screen.getByRole("textbox", { name: "Edit your message" });
    expect(document.activeElement).toBe(box);
    await userEvent.type(box, "{Shift>}{Enter}{/Shift}");
    expect(changeEdit).toHaveBeenLastCalledWith("Why?\n");
    expect(sendEdit).not.toHaveBeenCalled();
    await userEvent.type(box, "{Enter}{Escape}");
    expect(sendEdit).toHaveBeenCalledOnce();
    expect(cancelEdit).toHaveBeenCalledOnce();
  });

  it("sends nothing empty, and nothing while an answer is under way", async () => {
    const { sendEdit } = setUp(question(), { edit: " " });
    await userEvent.type(screen.getByRole("textbox"), "{Enter}");
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Send" }).disabled).toBe(true);
    expect(sendEdit).not.toHaveBeenCalled();
  });
});

describe("a guest", () => {
  it("is told what an edit replaces", () => {
    setUp(question(), { guest: true, edit: "Why?" });
    expect(screen.getByText("What follows this message is replaced.")).toBeDefined();
  });

  it("has the last answer made again alone, and rates nothing", () => {
    setUp(answer(), { guest: true });
    expect([has("Regenerate"), has("Good answer"), has("Delete message")]).toEqual([
      false,
      false,
      true,
    ]);
  });

  it("keeps the first message", () => {
    setUp(question(), { guest: true, first: true });
    expect([has("Edit message"), has("Delete message")]).toEqual([true, false]);
  });
});

describe("rating", () => {
  it("is given, changed and taken back", async () => {
    const feedback = { rating: "up", note: "Clear." } as const;
    const { rate } = setUp(answer({ status: "complete", feedback }));
    await press("Bad answer");
    await press("Good answer");
    expect(rate.mock.calls).toEqual([
      ["a2", { rating: "down", note: "Clear." }],
      ["a2", null],
    ]);
  });

  it("takes a note", async () => {
    const { rate } = setUp(answer({ status: "complete", feedback: { rating: "up", note: null } }));
    await press("Add a note");
    await userEvent.type(screen.getByLabelText("What was good or bad about it?"), " Clear. ");
    await press("Save note");
    expect(rate).toHaveBeenCalledExactlyOnceWith("a2", { rating: "up", note: "Clear." });
  });
});
