import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import { overlay } from "@/features/conversations/overlay-state";
import { queryClient } from "@/lib/query-client";
import { SearchDialog } from "./search-dialog";

const navigate = vi.hoisted(() => vi.fn());
vi.mock("@tanstack/react-router", () => ({ useNavigate: () => navigate }));

const match = {
  conversation_id: "c",
  title: "Mills",
  message_id: "m2",
  role: "user",
  snippet: [
    { text: "how <b>a ", match: false },
    { text: "<i>tail</i>", match: true },
  ],
  created_at: "2026-01-02T03:04:05Z",
  score: 0.1,
};

interface Asked {
  url: URL;
  signal: AbortSignal;
}

/** Answers searches by what they ask, once released; everything else is empty. */
function serveSearch(answer: (q: string) => object[] | Promise<object[]>): Asked[] {
  const asked: Asked[] = [];
  vi.stubGlobal(
    "fetch",
    vi.fn(async (path: string, init: RequestInit = {}) => {
      const url = new URL(path, "http://localhost");
      if (url.pathname === "/api/search") {
        asked.push({ url, signal: init.signal as AbortSignal });
        const items = await answer(url.searchParams.get("q") ?? "");
        return Response.json({ items, next_cursor: null, corrected: false });
      }
      return Response.json({ items: [], next_cursor: null, default: null });
    }),
  );
  return asked;
}

function open() {
  render(
    <QueryClientProvider client={queryClient}>
      <SearchDialog />
    </QueryClientProvider>,
  );
  return screen.getByRole("combobox", { name: "Search conversations" });
}

/** What is found, apart from what the filters offer. */
async function found() {
  return within(await screen.findByRole("listbox", { name: "Found" }));
}

beforeEach(() => {
  queryClient.clear();
  navigate.mockClear();
  overlay.set({ kind: "search" });
});

it("shows what stands in a message as it was written, and marks what matches", async () => {
  serveSearch(() => [match]);
  const user = userEvent.setup();
  await user.type(open(), "tail");

  const option = await (await found()).findByRole("option");
  expect(option).toHaveProperty("textContent", expect.stringContaining("how <b>a <i>tail</i>"));
  expect(option.querySelector("b, i")).toBeNull();
  expect(option.querySelector("mark")?.textContent).toBe("<i>tail</i>");
});

it("gives up the request that nobody waits for any more", async () => {
  const asked = serveSearch((q) => (q === "mil" ? new Promise(() => {}) : [match]));
  const user = userEvent.setup();
  const field = open();
  // All at once: a machine that types slowly would be asked for what it had typed by then.
  await user.click(field);
  await user.paste("mil");
  await waitFor(() => expect(asked).toHaveLength(1));
  await user.paste("ls");

  await (await found()).findByRole("option");
  expect(asked.map(({ url }) => url.searchParams.get("q"))).toEqual(["mil", "mills"]);
  expect(asked[0]?.signal.aborted).toBe(true);
  expect(asked[1]?.signal.aborted).toBe(false);
});

it("walks by the arrow keys and opens by Enter, at the message", async () => {
  const title = { ...match, conversation_id: "d", message_id: null, role: null };
  serveSearch(() => [title, match]);
  const user = userEvent.setup();
  const field = open();
  await user.type(field, "mills");
  const options = await (await found()).findAllByRole("option");
  expect(options.map((option) => option.getAttribute("aria-selected"))).toEqual(["true", "false"]);
  expect(field.getAttribute("aria-activedescendant")).toBe(options[0]?.id);

  await user.keyboard("{ArrowDown}");
  expect(field.getAttribute("aria-activedescendant")).toBe(options[1]?.id);
  await user.keyboard("{Enter}");

  await waitFor(() =>
    expect(navigate).toHaveBeenCalledWith({
      to: "/c/$conversationId",
      params: { conversationId: "c" },
      hash: "m-m2",
    }),
  );
  expect(overlay.get()).toBeNull();
});

it("narrows by date, and refuses days in the wrong order without asking", async () => {
  const asked = serveSearch(() => [match]);
  const user = userEvent.setup();
  await user.type(open(), "mills");
  await (await found()).findByRole("option");
  await user.selectOptions(screen.getByRole("combobox", { name: "Date" }), "Past 7 days");
  await waitFor(() => expect(asked.at(-1)?.url.searchParams.get("from")).not.toBeNull());

  await user.selectOptions(screen.getByRole("combobox", { name: "Date" }), "Between…");
  await user.type(screen.getByLabelText("First day"), "2026-11-02");
  await user.type(screen.getByLabelText("Last day"), "2026-11-01");
  await screen.findByText("The first day comes after the last.");
  expect(asked.at(-1)?.url.searchParams.get("to")).toBeNull();
});

it("says when nothing was found, and when it only comes near", async () => {
  serveSearch(() => []);
  const user = userEvent.setup();
  await user.type(open(), "xyz");
  await within(screen.getByRole("dialog")).findByText("Nothing was found.");
});
