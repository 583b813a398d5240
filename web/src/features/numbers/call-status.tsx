/** How a call ended, in a word and a tone. */
import { Badge, type BadgeProps } from "@/components/ui/badge";
import type { CallStatus } from "./api";

const STATUSES: Record<CallStatus, { label: string; variant: BadgeProps["variant"] }> = {
  ok: { label: "ok", variant: "success" },
  error: { label: "error", variant: "destructive" },
  timeout: { label: "timeout", variant: "destructive" },
  cancelled: { label: "stopped", variant: "neutral" },
  interrupted: { label: "interrupted", variant: "warning" },
};

export function CallStatusBadge({ status }: { status: CallStatus }) {
  const { label, variant } = STATUSES[status];
  return <Badge variant={variant}>{label}</Badge>;
}
