/** From a row of a breakdown to its filter, and to its name. */
import { expect, it } from "vitest";
import { filterOf, nameOf } from "./drill";

it("narrows to the model of its provider", () => {
  const item = { requests: 1, provider_name: "openai", request_model: "gpt-4o" };
  expect(filterOf("model", item)).toEqual({ provider_name: "openai", request_model: "gpt-4o" });
  expect(nameOf("model", item)).toBe("openai/gpt-4o");
});

it("cannot narrow to those who are nobody", () => {
  const nobody = { requests: 1, owner_id: null, email: null };
  expect(filterOf("user", nobody)).toBeNull();
  expect(nameOf("user", nobody)).toBe("Guests and deleted accounts");
  const somebody = { requests: 1, owner_id: "u", email: "ada@example.org" };
  expect(filterOf("user", somebody)).toEqual({ user_id: "u" });
  expect(nameOf("user", somebody)).toBe("ada@example.org");
});

it("calls a status what the page calls it everywhere", () => {
  const stopped = { requests: 1, status: "cancelled" as const };
  expect(nameOf("status", stopped)).toBe("stopped");
  expect(filterOf("status", stopped)).toEqual({ status: "cancelled" });
});
