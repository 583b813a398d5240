/** How a call ended, in a word and a tone. */
import { Badge, type BadgeProps } from "@/components/ui/badge";
import type { CallStatus } from "./api";
import { STATUS_NAMES } from "./search";

const TONES: Record<CallStatus, BadgeProps["variant"]> = {
  ok: "success",
  error: "destructive",
  timeout: "destructive",
  cancelled: "neutral",
  interrupted: "warning",
};

export function CallStatusBadge({ status }: { status: CallStatus }) {
  return <Badge variant={TONES[status]}>{STATUS_NAMES[status]}</Badge>;
}
