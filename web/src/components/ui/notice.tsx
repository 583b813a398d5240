/** A sentence about something that needs the person's eye, with what can be done about it. */
import { cva, type VariantProps } from "class-variance-authority";
import { CircleAlertIcon, InfoIcon, TriangleAlertIcon } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/lib/utils";

const noticeVariants = cva("flex items-start gap-2.5 rounded-lg border px-3.5 py-2.5 text-sm", {
  variants: {
    tone: {
      neutral: "border-border bg-muted/60 text-muted-foreground",
      warning: "border-warning/25 bg-warning/8 text-foreground",
      destructive: "border-destructive/30 bg-destructive/8 text-foreground",
    },
  },
  defaultVariants: { tone: "neutral" },
});

const ICONS = {
  neutral: <InfoIcon className="mt-0.5 size-4 shrink-0" />,
  warning: <TriangleAlertIcon className="mt-0.5 size-4 shrink-0 text-warning" />,
  destructive: <CircleAlertIcon className="mt-0.5 size-4 shrink-0 text-destructive" />,
};

export interface NoticeProps extends VariantProps<typeof noticeVariants> {
  children: ReactNode;
  action?: ReactNode;
  role?: "alert" | "status";
  className?: string;
}

export function Notice({ tone, children, action, role, className }: NoticeProps) {
  return (
    <div data-slot="notice" role={role} className={cn(noticeVariants({ tone }), className)}>
      {ICONS[tone ?? "neutral"]}
      <div className="min-w-0 flex-1 leading-relaxed break-words">{children}</div>
      {action && <div className="-my-1 flex shrink-0 gap-1">{action}</div>}
    </div>
  );
}
