/** From a row of a breakdown to the filter that shows what is behind it. */
import type { BreakdownItem, Dimension } from "./api";
import { type NumbersSearch, STATUS_NAMES } from "./search";

/** The filters of a row; null where a row is of no one thing, such as all guests. */
export function filterOf(by: Dimension, item: BreakdownItem): Partial<NumbersSearch> | null {
  const { provider_name, request_model, owner_id, kind, status, error_type, finish_reason } = item;
  switch (by) {
    case "model":
      return { provider_name, request_model };
    case "provider":
      return { provider_name };
    case "user":
      return owner_id ? { user_id: owner_id } : null;
    case "kind":
      return { kind: kind as NumbersSearch["kind"] };
    case "status":
      return { status };
    case "error_type":
      return { error_type };
    case "finish_reason":
      return { finish_reason };
  }
}

/** What a row is called. */
export function nameOf(by: Dimension, item: BreakdownItem): string {
  switch (by) {
    case "model":
      return `${item.provider_name}/${item.request_model}`;
    case "provider":
      return item.provider_name ?? "";
    case "user":
      if (item.email) return item.email;
      return item.owner_id ? "A deleted account" : "Guests and deleted accounts";
    case "status":
      return item.status ? STATUS_NAMES[item.status] : "";
    case "kind":
    case "error_type":
    case "finish_reason":
      return item[by] ?? "";
  }
}

/** Whether a dimension narrows the list of calls alone: sums are not kept by it. */
export function isOfList(by: Dimension): boolean {
  return by === "error_type" || by === "finish_reason";
}
