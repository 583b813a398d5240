/** Figures beside those of the period before. */
import { describe, expect, it } from "vitest";
import { changeOf, changeOfRate } from "./change";

describe("changeOf", () => {
  it("says how much more or less", () => {
    expect(changeOf(112, 100, "neutral")).toEqual({ text: "+12 %", tone: "neutral" });
    expect(changeOf(1, 2, "worse")).toEqual({ text: "−50 %", tone: "better" });
    expect(changeOf(3, 2, "worse")).toEqual({ text: "+50 %", tone: "worse" });
    expect(changeOf(1000, 2, "neutral")?.text).toBe("×500");
  });

  it("does not judge what is no more than noise", () => {
    expect(changeOf(1.02, 1, "worse")).toEqual({ text: "+2 %", tone: "neutral" });
    expect(changeOf(7, 7, "worse")?.text).toBe("as before");
  });

  it("compares nothing with nothing", () => {
    expect(changeOf(5, 0, "neutral")).toBeNull();
    expect(changeOf(null, 5, "neutral")).toBeNull();
    expect(changeOf(5, undefined, "neutral")).toBeNull();
    expect(changeOf(0, 0, "neutral")?.text).toBe("as before");
  });
});

it("tells rates apart by points, not by shares of a share", () => {
  expect(changeOfRate(0.03, 0.01, "worse")).toEqual({ text: "+2 points", tone: "worse" });
  expect(changeOfRate(0, 0.25, "worse")).toEqual({ text: "−25 points", tone: "better" });
  expect(changeOfRate(0.1, 0.1, "worse").text).toBe("as before");
});
