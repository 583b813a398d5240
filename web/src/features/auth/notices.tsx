/** Above every page: a sign-in that failed elsewhere, and how the way into an account went. */
import { useMutation } from "@tanstack/react-query";
import { useNavigate, useRouterState } from "@tanstack/react-router";
import { LoaderCircleIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { DismissButton } from "@/components/dismiss-button";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { plural } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { queryClient } from "@/lib/query-client";
import { useStore } from "@/lib/store";
import { openAuth } from "./auth-dialog-state";
import {
  dismissImport,
  type ImportState,
  importGuestConversations,
  importState,
} from "./guest-import";
import { signInErrorWords } from "./sign-in-error";
import { useMe } from "./use-me";
import { formatWait, useWait } from "./wait";

export function PeopleNotices() {
  return (
    <div className="mx-auto w-full max-w-3xl shrink-0 space-y-2 px-3 pt-3 empty:hidden sm:px-6">
      <SignInError />
      <ImportNotice />
    </div>
  );
}

/** The word for it is in the address, where it would come back with every reload. */
function SignInError() {
  const me = useMe();
  const navigate = useNavigate();
  const given = useRouterState({
    select: ({ location }) => (location.search as { sign_in_error?: unknown }).sign_in_error,
  });
  const [code, setCode] = useState<string | null>(null);

  useEffect(() => {
    if (given === undefined) return;
    setCode(String(given));
    void navigate({ to: "/", replace: true });
  }, [given, navigate]);

  if (code === null) return null;
  return (
    <Notice
      tone="destructive"
      role="alert"
      action={
        <>
          {me.data?.kind === "guest" && (
            <Button
              size="xs"
              onClick={() => {
                setCode(null);
                openAuth("login");
              }}
            >
              Sign in
            </Button>
          )}
          <DismissButton onClick={() => setCode(null)} />
        </>
      }
    >
      {signInErrorWords(code)}
    </Notice>
  );
}

function ImportNotice() {
  const state = useStore(importState);
  const me = useMe();
  switch (state.phase) {
    case "importing":
      return (
        <Notice role="status">
          <span className="flex items-center gap-2">
            Moving {plural(state.count, "conversation")} to your account…
            <LoaderCircleIcon className="size-3.5 animate-spin" aria-hidden="true" />
          </span>
        </Notice>
      );
    case "failed":
      // Who signed out again has them in the sidebar.
      return me.data?.kind === "guest" ? null : <Failed state={state} />;
    case "told":
      return (
        <Notice tone="warning" role="status" action={<DismissButton onClick={dismissImport} />}>
          {state.detail}
        </Notice>
      );
    default:
      return null;
  }
}

function Failed({ state }: { state: Extract<ImportState, { phase: "failed" }> }) {
  const wait = useWait(state.error);
  const again = useMutation({
    mutationFn: () => importGuestConversations({ again: true }),
    // What was missing before may be what is looked at.
    onSuccess: () => queryClient.invalidateQueries(),
  });
  return (
    <Notice
      tone="destructive"
      role="alert"
      action={
        <>
          <Button
            size="xs"
            variant="outline"
            disabled={wait > 0 || again.isPending}
            onClick={() => again.mutate()}
          >
            Try again
          </Button>
          <DismissButton onClick={dismissImport} />
        </>
      }
    >
      {plural(state.count, "conversation")} from before you signed in could not be moved to your
      account, and {state.count === 1 ? "is" : "are"} still in this browser. {sentence(state.error)}
      {wait > 0 && <span aria-live="off"> You can try again in {formatWait(wait)}.</span>}
    </Notice>
  );
}
