/** Numbers and times as they are written. */
import { describe, expect, it } from "vitest";
import {
  ageGroup,
  formatAxisSeconds,
  formatBytes,
  formatCost,
  formatCount,
  formatPrice,
  formatRate,
  formatSeconds,
  formatTime,
  formatUtc,
  formatWindow,
  plural,
} from "./format";

describe("format", () => {
  it.each([
    [1, "1 byte"],
    [1023, "1023 bytes"],
    [1024, "1 KiB"],
    [1025, "2 KiB"],
    [1024 * 1023.5, "1 MiB"],
    [3 * 1024 * 1024, "3 MiB"],
    [3 * 1024 * 1024 + 1, "3.1 MiB"],
  ])("%s bytes as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    ["3", "$3"],
    ["2.5", "$2.50"],
    ["0.10", "$0.10"],
    ["0.075", "$0.075"],
    ["0.0375", "$0.0375"],
    ["oops", "—"],
  ])("a price of %s as %s", (price, text) => expect(formatPrice(price)).toBe(text));

  it.each([
    [null, "—"],
    [256, "256"],
    [8_192, "8K"],
    [16_385, "16.4K"],
    [128_000, "128K"],
    [131_072, "128K"],
    [1_047_576, "1M"],
    [1_048_576, "1M"],
  ])("a window of %s tokens as %s", (tokens, text) => expect(formatWindow(tokens)).toBe(text));

  it.each([
    [null, "—"],
    [Number.NaN, "—"],
    [0, "0 ms"],
    [0.0004, "< 1 ms"],
    [0.0034, "3 ms"],
    [0.9996, "1.00 s"],
    [1.234, "1.23 s"],
    [12.34, "12.3 s"],
    [59.97, "1 m 00 s"],
    [125, "2 m 05 s"],
  ])("%s seconds as %s", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

  it.each([
    [0, "0"],
    [0.05, "50 ms"],
    [0.2, "200 ms"],
    [1.5, "1.5 s"],
    [120, "2 m"],
  ])("%s on an axis as %s", (seconds, text) => expect(formatAxisSeconds(seconds)).toBe(text));

  it.each([
    [null, "—"],
    [0, "0"],
    [9_999, "9,999"],
    [12_345, "12.3K"],
    [2_000_000, "2M"],
  ])("%s as %s", (count, text) => expect(formatCount(count)).toBe(text));

  it.each([
    [null, "—"],
    [0, "0 %"],
    [0.0001, "< 0.1 %"],
    [0.01, "1 %"],
    [0.0123, "1.2 %"],
    [0.5, "50 %"],
    [1, "100 %"],
  ])("a rate of %s as %s", (rate, text) => expect(formatRate(rate)).toBe(text));

  it.each([
    [null, "—"],
    ["0", "$0"],
    ["0.0000001", "< $0.000001"],
    ["0.0000123", "$0.000012"],
    ["0.0012", "$0.0012"],
    ["0.0999", "$0.100"],
    ["12.5", "$12.50"],
  ])("%s US dollars as %s", (cost, text) => expect(formatCost(cost)).toBe(text));

  it("names the day of a time only when it is another", () => {
    const now = new Date(2026, 10, 21, 16, 0, 0);
    expect(formatTime(new Date(2026, 10, 21, 9, 5, 7).toISOString(), now)).toMatch(/0?9:05:07/);
    expect(formatTime(new Date(2026, 10, 20, 9, 5, 7).toISOString(), now)).toMatch(/Nov/);
  });

  it("tells UTC as logs do", () => {
    expect(formatUtc("2026-11-21T17:40:02.123+02:00")).toBe("2026-11-21 15:40:02 UTC");
  });

  it("groups by days of the calendar", () => {
    const now = new Date(2026, 10, 21, 0, 30);
    const at = (...date: [number, number, number, number]) => new Date(...date).toISOString();
    expect(ageGroup(at(2026, 10, 21, 0), now)).toBe("Today");
    expect(ageGroup(at(2026, 10, 20, 23), now)).toBe("Yesterday");
    expect(ageGroup(at(2026, 10, 14, 12), now)).toBe("Previous 7 days");
    expect(ageGroup(at(2026, 10, 13, 12), now)).toBe("Older");
  });

  it("counts things", () => {
    expect(plural(1, "message")).toBe("1 message");
    expect(plural(1_200, "message")).toBe("1,200 messages");
  });
});
