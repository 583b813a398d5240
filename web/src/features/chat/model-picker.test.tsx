/** Choosing a model by keyboard and pointer. */
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { createRef } from "react";
import { beforeEach, expect, it, vi } from "vitest";
import { modelWith } from "@/test/models";
import { ModelPicker } from "./model-picker";

const MODELS = {
  items: [
    modelWith("one/small", { display_name: "Small", context_window: 8_192 }),
    modelWith("one/large", {
      display_name: "Large",
      capabilities: ["vision", "reasoning"],
      input_price: "3",
      output_price: "15",
    }),
    modelWith("two/away", { available: false, reason: "The server has no API key for two." }),
  ],
  default: null,
};

beforeEach(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
});

async function open() {
  const onChange = vi.fn();
  const onOpen = vi.fn();
  render(
    <ModelPicker
      models={MODELS}
      value="one/small"
      onChange={onChange}
      onOpen={onOpen}
      next={createRef()}
    />,
  );
  await userEvent.click(screen.getByRole("button", { name: "Model: Small" }));
  expect(onOpen).toHaveBeenCalledOnce();
  return { onChange, search: screen.getByRole("combobox", { name: "Search models" }) };
}

const active = (search: HTMLElement) =>
  document.getElementById(search.getAttribute("aria-activedescendant") ?? "")?.textContent;

it("lists models by provider, with what they can do and cost", async () => {
  const { search } = await open();
  expect(screen.getAllByRole("group").map((group) => group.children.length)).toEqual([3, 2]);
  const large = screen.getByRole("option", { name: "Large" });
  expect(large.textContent).toContain("$3 in, $15 out per million");
  expect(large.querySelectorAll("[role=img]")).toHaveLength(2);
  const legend = screen.getByRole("list", { name: "What the signs mean" });
  expect([...legend.children].map(({ textContent }) => textContent)).toEqual([
    "Vision",
    "Reasoning",
  ]);
  expect(screen.getByRole("option", { name: "Small" }).getAttribute("aria-selected")).toBe("true");
  expect(document.activeElement).toBe(search);
});

it("chooses what a search finds with Enter", async () => {
  const { onChange, search } = await open();
  await userEvent.type(search, "vision");
  expect(screen.getAllByRole("option")).toHaveLength(1);
  await userEvent.keyboard("{Enter}");
  expect(onChange).toHaveBeenCalledExactlyOnceWith("one/large");
  expect(screen.queryByRole("combobox")).toBeNull();
});

it("is walked by the arrow keys, round and round", async () => {
  const { onChange, search } = await open();
  expect(active(search)).toContain("Small");
  await userEvent.keyboard("{ArrowUp}");
  expect(active(search)).toContain("away");
  await userEvent.keyboard("{ArrowDown}{ArrowDown}");
  expect(active(search)).toContain("Large");
  await userEvent.keyboard("{Enter}");
  expect(onChange).toHaveBeenCalledExactlyOnceWith("one/large");
});

it("says why a model cannot be chosen, and does not choose it", async () => {
  const { onChange, search } = await open();
  const option = screen.getByRole("option", { name: "away" });
  expect(option.getAttribute("aria-disabled")).toBe("true");
  expect(option.textContent).toContain("The server has no API key for two.");
  await userEvent.click(option);
  await userEvent.type(search, "away{Enter}");
  expect(onChange).not.toHaveBeenCalled();
});

it("says that nothing fits a search", async () => {
  const { search } = await open();
  await userEvent.type(search, "nothing like it{ArrowDown}{Enter}");
  expect(screen.getByRole("status").textContent).toBe("No model fits this search.");
});
