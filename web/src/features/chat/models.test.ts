/** Which model a conversation uses, and how models are found and described. */
import { beforeEach, describe, expect, it } from "vitest";
import { keys, queryClient } from "@/lib/query-client";
import { modelWith } from "@/test/models";
import {
  currentReasoningEffort,
  displayName,
  factsOf,
  modelName,
  searchModels,
  usableModel,
} from "./models";
import { setReasoningEffort } from "./reasoning-effort";

const away = { available: false, reason: "Does not answer." };

it("uses the preferred model, else the default, else any that works", () => {
  const items = [modelWith("p/a", away), modelWith("p/b"), modelWith("p/c")];
  expect(usableModel({ items, default: "p/c" }, "p/b")).toBe("p/b");
  expect(usableModel({ items, default: "p/c" }, "p/a")).toBe("p/c");
  expect(usableModel({ items, default: "p/a" }, null)).toBe("p/b");
  expect(usableModel({ items: [modelWith("p/a", away)], default: "p/a" }, "p/a")).toBeNull();
  expect(usableModel(undefined, "p/a")).toBeNull();
});

it("names a model as people do, and one that is gone by its id", () => {
  const models = { items: [modelWith("p/a-1", { display_name: "A One" })], default: null };
  expect(displayName(models, "p/a-1")).toBe("A One");
  expect(displayName(models, "local/org/model")).toBe("org/model");
  expect(modelName("local/org/model")).toBe("org/model");
});

describe("factsOf", () => {
  it.each([
    [{}, ""],
    [{ context_window: 256 }, "256 context"],
    [
      { context_window: 200_000, input_price: "3", output_price: "15" },
      "200K context · $3 in, $15 out per million",
    ],
    [
      { context_window: 1_048_576, input_price: "0.075", output_price: "0.30" },
      "1M context · $0.075 in, $0.30 out per million",
    ],
    [{ input_price: "0", output_price: "0.00" }, "free"],
    [{ input_price: "3", output_price: null }, ""],
  ])("of %o", (given, facts) => expect(factsOf(modelWith("p/m", given))).toBe(facts));
});

describe("searchModels", () => {
  const opus = modelWith("anthropic/claude-opus", {
    display_name: "Claude Opus",
    capabilities: ["vision", "reasoning"],
  });
  const sonnet = modelWith("bedrock/claude-sonnet", { capabilities: ["vision"] });
  const flash = modelWith("gemini/flash", { capabilities: ["documents", "reasoning"] });
  const found = (search: string) =>
    searchModels([opus, flash, sonnet], search).map(([provider, models]) => [
      provider,
      models.map(({ id }) => id),
    ]);

  it("groups by provider, in the order of the catalogue", () => {
    expect(found("").map(([provider]) => provider)).toEqual(["anthropic", "gemini", "bedrock"]);
  });

  it("finds by every word: of the name, of the id, of what a model can do", () => {
    expect(found("CLAUDE")).toEqual([
      ["anthropic", ["anthropic/claude-opus"]],
      ["bedrock", ["bedrock/claude-sonnet"]],
    ]);
    expect(found(" bedrock  vision ")).toEqual([["bedrock", ["bedrock/claude-sonnet"]]]);
    expect(found("gemini/flash")).toEqual([["gemini", ["gemini/flash"]]]);
    expect(found("tools")).toEqual([]);
  });
});

describe("currentReasoningEffort", () => {
  beforeEach(() => {
    const items = [modelWith("p/thinks", { capabilities: ["reasoning"] }), modelWith("p/talks")];
    queryClient.setQueryData(keys.models, { items, default: null });
  });

  it("is sent to models that reason, and to no others", () => {
    setReasoningEffort("high");
    expect(currentReasoningEffort("p/thinks")).toBe("high");
    expect(currentReasoningEffort("p/talks")).toBeNull();
    expect(currentReasoningEffort(null)).toBeNull();
    expect(localStorage.getItem("tailrace.reasoning_effort")).toBe("high");
  });

  it("is left to the model unless one was chosen", () => {
    setReasoningEffort("low");
    setReasoningEffort(null);
    expect(currentReasoningEffort("p/thinks")).toBeNull();
    expect(localStorage.getItem("tailrace.reasoning_effort")).toBeNull();
  });
});
