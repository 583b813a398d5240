/** Writing and sending a message by keyboard. */
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { Attachment } from "./attachments";
import { Composer, type ComposerProps, countChars, MAX_CHARS } from "./composer";

const NOTES: Attachment = {
  id: "1",
  filename: "notes.txt",
  mediaType: "text/plain",
  size: 5,
  url: "data:text/plain;base64,bm90ZXM=",
};

type Given = {
  text?: string;
  busy?: boolean;
  stopping?: boolean;
  waiting?: boolean;
  attachments?: Attachment[];
};

function Page({
  text = "",
  busy = false,
  stopping = false,
  waiting = false,
  attachments = [],
  ...hooks
}: Given & Pick<ComposerProps, "onSend" | "onStop" | "onAttach" | "onDetach" | "onHoldBack">) {
  const [draft, setDraft] = useState(text);
  return (
    <TooltipProvider>
      <Composer
        draft={draft}
        onDraft={setDraft}
        {...hooks}
        attachments={attachments}
        accept="text/*"
        busy={busy}
        stopping={stopping}
        waiting={waiting}
        disabled={false}
      />
    </TooltipProvider>
  );
}

function setUp(given: Given = {}) {
  const onSend = vi.fn();
  const onStop = vi.fn();
  const onAttach = vi.fn();
  const onDetach = vi.fn();
  const onHoldBack = vi.fn();
  render(<Page {...given} {...{ onSend, onStop, onAttach, onDetach, onHoldBack }} />);
  return {
    onSend,
    onStop,
    onAttach,
    onDetach,
    onHoldBack,
    box: screen.getByRole("textbox", { name: "Message" }),
  };
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

describe("attaching", () => {
  const picture = new File(["x"], "image.png", { type: "image/png" });
  const clipboard = (...types: string[]) => ({ clipboardData: { files: [picture], types } });

  it("takes files from the dialog", () => {
    const { onAttach, box } = setUp();
    const input = document.querySelector("input[type=file]") as HTMLInputElement;
    const notes = new File(["x"], "notes.txt", { type: "text/plain" });
    fireEvent.change(input, { target: { files: [notes] } });
    expect(onAttach).toHaveBeenCalledExactlyOnceWith([notes]);
    expect(document.activeElement).toBe(box);
  });

  it("takes a picture that is pasted, but not one that comes with copied text", () => {
    const { onAttach, box } = setUp();
    fireEvent.paste(box, clipboard("text/plain", "Files"));
    expect(onAttach).not.toHaveBeenCalled();
    fireEvent.paste(box, clipboard("text/html", "Files"));
    expect(onAttach).toHaveBeenCalledExactlyOnceWith([picture]);
  });

  it("sends files without a word, once they are read", async () => {
    const { onSend, box } = setUp({ attachments: [NOTES] });
    await userEvent.type(box, "{Enter}");
    expect(onSend).toHaveBeenCalledExactlyOnceWith("");
  });

  it("lets a message be sent off while its file is on its way, but not without the file", async () => {
    const on_its_way = { ...NOTES, url: null };
    const { onSend, box } = setUp({ text: "what?", attachments: [on_its_way] });
    await userEvent.type(box, "{Enter}");
    expect(onSend).toHaveBeenCalledExactlyOnceWith("what?");
    cleanup();
    const failed = setUp({ text: "what?", attachments: [{ ...on_its_way, error: "Too large." }] });
    await userEvent.type(failed.box, "{Enter}");
    expect(failed.onSend).not.toHaveBeenCalled();
  });

  it("holds back what waits for its files", async () => {
    const { onHoldBack, box } = setUp({ text: "what?", waiting: true });
    expect(screen.getByText("Goes off with its files")).toBeDefined();
    await userEvent.click(screen.getByRole("button", { name: "Hold the message back" }));
    expect(onHoldBack).toHaveBeenCalledOnce();
    expect(document.activeElement).toBe(box);
  });

  it("takes a file out again", async () => {
    const { onDetach, box } = setUp({ attachments: [NOTES] });
    expect(screen.getByText("1 file attached")).toBeDefined();
    await userEvent.click(screen.getByRole("button", { name: "Remove notes.txt" }));
    expect(onDetach).toHaveBeenCalledExactlyOnceWith("1");
    expect(document.activeElement).toBe(box);
  });
});

it("counts characters as the server does", () => {
  expect(countChars("😀".repeat(MAX_CHARS))).toBe(MAX_CHARS);
});
