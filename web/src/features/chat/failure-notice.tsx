/** What was refused and why, with the time until it may be tried again counted down. */
import { useEffect, useState } from "react";
import { DismissButton } from "@/components/dismiss-button";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { openAuth } from "@/features/auth/auth-dialog-state";
import { formatWait } from "@/features/auth/wait";
import type { Failure } from "./failure";

export function FailureNotice({ failure, onDismiss }: { failure: Failure; onDismiss: () => void }) {
  const { detail, hint, action, retry_at } = failure;
  return (
    <Notice
      tone="destructive"
      role="alert"
      className="mb-2"
      action={
        <>
          {action === "sign-in" && (
            <Button size="xs" onClick={() => openAuth("login")}>
              Sign in
            </Button>
          )}
          <DismissButton onClick={onDismiss} />
        </>
      }
    >
      {[detail, hint].filter(Boolean).join(" ")}
      {retry_at !== null && <Countdown key={retry_at} until={retry_at} />}
    </Notice>
  );
}

/** Ticks; what it says is not read out with every second. */
function Countdown({ until }: { until: number }) {
  const [left, setLeft] = useState(() => secondsUntil(until));
  useEffect(() => {
    const timer = setInterval(() => {
      const seconds = secondsUntil(until);
      setLeft(seconds);
      if (seconds === 0) clearInterval(timer);
    }, 1000);
    return () => clearInterval(timer);
  }, [until]);
  return (
    <span role="timer" className="block text-muted-foreground tabular-nums">
      {left > 0 ? `You can try again in ${formatWait(left)}.` : "You can try again now."}
    </span>
  );
}

function secondsUntil(time: number): number {
  return Math.max(0, Math.ceil((time - Date.now()) / 1000));
}
