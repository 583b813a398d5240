/** Writing and sending a message by keyboard. */
import { fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import { Composer, countChars, MAX_CHARS } from "./composer";

type Given = { text?: string; busy?: boolean; stopping?: boolean };

function Page({
  text = "",
  busy = false,
  stopping = false,
  onSend,
  onStop,
}: Given & { onSend: (text: string) => void; onStop: () => void }) {
  const [draft, setDraft] = useState(text);
  return (
    <TooltipProvider>
      <Composer
        draft={draft}
        onDraft={setDraft}
        onSend={onSend}
        onStop={onStop}
        busy={busy}
        stopping={stopping}
        disabled={false}
      />
    </TooltipProvider>
  );
}

function setUp(given: Given = {}) {
  const onSend = vi.fn();
  const onStop = vi.fn();
  render(<Page {...given} onSend={onSend} onStop={onStop} />);
  return { onSend, onStop, box: screen.getByRole("textbox", { name: "Message" }) };
}

describe("Composer", () => {
  it("sends on Enter, and breaks the line on Shift+Enter", async () => {
    const { onSend, box } = setUp();
    await userEvent.type(box, "one{Shift>}{Enter}{/Shift}two ");
    expect(onSend).not.toHaveBeenCalled();
    await userEvent.type(box, "{Enter}");
    expect(onSend).toHaveBeenCalledExactlyOnceWith("one\ntwo");
  });

  it("has nothing to send while it is empty", async () => {
    const { onSend, box } = setUp();
    const button = screen.getByRole<HTMLButtonElement>("button", { name: "Send" });
    expect(button.disabled).toBe(true);
    await userEvent.type(box, "  {Enter}");
    expect(onSend).not.toHaveBeenCalled();
    await userEvent.type(box, "word");
    expect(button.disabled).toBe(false);
  });

  it("leaves Enter to an input method that composes", () => {
    const { onSend, box } = setUp({ text: "にほん" });
    fireEvent.keyDown(box, { key: "Enter", isComposing: true });
    expect(onSend).not.toHaveBeenCalled();
    fireEvent.keyDown(box, { key: "Enter" });
    expect(onSend).toHaveBeenCalledOnce();
  });

  it("shows the count near the limit, and refuses more", async () => {
    const { onSend, box } = setUp({ text: "x".repeat(MAX_CHARS) });
    expect(screen.getByText("32,000 / 32,000")).toBeDefined();
    await userEvent.type(box, "x{Enter}");
    expect(screen.getByText("32,001 / 32,000")).toBeDefined();
    expect(box.getAttribute("aria-invalid")).toBe("true");
    expect(onSend).not.toHaveBeenCalled();
  });

  it("offers to stop while an answer is being written", async () => {
    const { onSend, onStop, box } = setUp({ text: "next", busy: true });
    await userEvent.type(box, "{Enter}");
    expect(onSend).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "Stop" }));
    expect(onStop).toHaveBeenCalledOnce();
  });

  it("asks to stop once", async () => {
    const { onStop } = setUp({ busy: true, stopping: true });
    await userEvent.click(screen.getByRole("button", { name: "Stopping" }));
    expect(onStop).not.toHaveBeenCalled();
  });
});

it("counts characters as the server does", () => {
  expect(countChars("😀".repeat(MAX_CHARS))).toBe(MAX_CHARS);
});
