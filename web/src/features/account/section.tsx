/** A part of the account page: its heading, a line about it, what can be done. */
import type { ReactNode } from "react";
import { Card } from "@/components/ui/card";

export function Section({
  title,
  about,
  action,
  children,
}: {
  title: string;
  about?: ReactNode;
  action?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <Card className="p-5" aria-label={title}>
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h2 className="font-medium tracking-tight">{title}</h2>
          {about && <p className="mt-0.5 text-sm text-muted-foreground">{about}</p>}
        </div>
        {action}
      </div>
      {children && <div className="mt-4">{children}</div>}
    </Card>
  );
}
