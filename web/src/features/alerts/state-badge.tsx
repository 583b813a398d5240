/** The state of an alert, in a word and a tone. */
import { Badge, type BadgeProps } from "@/components/ui/badge";
import type { AlertState } from "./api";

const TONES: Record<AlertState, BadgeProps["variant"]> = {
  ok: "success",
  pending: "warning",
  firing: "destructive",
  resolved: "neutral",
};

export function StateBadge({ state }: { state: AlertState }) {
  return <Badge variant={TONES[state]}>{state}</Badge>;
}
