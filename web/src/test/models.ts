/** Models as the catalogue lists them, for tests. */
import type { Model } from "@/lib/api";

export function modelWith(id: string, given: Partial<Model> = {}): Model {
  const [provider = "", name = ""] = id.split("/");
  return {
    id,
    provider,
    name,
    display_name: name,
    context_window: null,
    output_limit: null,
    capabilities: [],
    input_price: null,
    output_price: null,
    available: true,
    reason: null,
    default: false,
    ...given,
  };
}
