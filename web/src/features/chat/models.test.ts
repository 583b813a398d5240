/** Which model a conversation uses. */
import { expect, it } from "vitest";
import type { Model } from "@/lib/api";
import { modelName, usableModel } from "./models";

const model = (id: string, available = true): Model => ({
  id,
  provider: "p",
  name: id,
  available,
  reason: available ? null : "Does not answer.",
  default: false,
});

it("uses the preferred model, else the default, else any that works", () => {
  const items = [model("p/a", false), model("p/b"), model("p/c")];
  expect(usableModel({ items, default: "p/c" }, "p/b")).toBe("p/b");
  expect(usableModel({ items, default: "p/c" }, "p/a")).toBe("p/c");
  expect(usableModel({ items, default: "p/a" }, null)).toBe("p/b");
  expect(usableModel({ items: [model("p/a", false)], default: "p/a" }, "p/a")).toBeNull();
  expect(usableModel(undefined, "p/a")).toBeNull();
});

it("names a model without its provider", () => {
  expect(modelName("local/org/model")).toBe("org/model");
});
