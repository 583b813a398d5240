/** A part of the account page: its heading, a line about it, what can be done. */
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Notice } from "@/components/ui/notice";
import { Skeleton } from "@/components/ui/skeleton";
import { sentence } from "@/lib/problem";

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

/** What stands where a list cannot be shown (yet). */
export function Loading({
  what,
  error,
  retry,
}: {
  what: string;
  error: unknown;
  retry: () => void;
}) {
  if (error === null) {
    return (
      <div className="space-y-3" aria-busy="true">
        <span className="sr-only" role="status">
          Loading
        </span>
        <Skeleton className="h-4 w-2/3" />
        <Skeleton className="h-4 w-1/2" />
      </div>
    );
  }
  return (
    <Notice
      tone="destructive"
      role="alert"
      action={
        <Button size="xs" variant="outline" onClick={retry}>
          Try again
        </Button>
      }
    >
      {what} could not be loaded. {sentence(error)}
    </Notice>
  );
}
