/** What stands where something cannot be shown: not yet, or not at all. */
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { Skeleton } from "@/components/ui/skeleton";
import { sentence } from "@/lib/problem";

interface FailureProps {
  /** Begins a sentence, such as "The calls". */
  what: string;
  error: unknown;
  retry: () => void;
}

/** The place of a list or a card. */
export function Loading({ what, error, retry }: FailureProps) {
  if (error !== null) return <LoadFailure what={what} error={error} retry={retry} />;
  return (
    <Busy className="space-y-3">
      <Skeleton className="h-4 w-2/3" />
      <Skeleton className="h-4 w-1/2" />
    </Busy>
  );
}

export function LoadFailure({ what, error, retry }: FailureProps) {
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

/** Skeletons in the shape of what comes, which a screen reader is told of in a word. */
export function Busy({ className, children }: { className: string; children: ReactNode }) {
  return (
    <div className={className} aria-busy="true">
      <span className="sr-only" role="status">
        Loading
      </span>
      {children}
    </div>
  );
}
