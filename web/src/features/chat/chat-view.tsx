/** A conversation as it is seen: its messages, its state, the composer. Shown by the chat page. */
import { useChat } from "@ai-sdk/react";
import { ArrowDownIcon, PaperclipIcon, XIcon } from "lucide-react";
import { useCallback, useEffect, useRef } from "react";
import { Logo } from "@/components/logo";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { openAuth } from "@/features/auth/auth-dialog-state";
import { sentence } from "@/lib/problem";
import { useStore } from "@/lib/store";
import { cn } from "@/lib/utils";
import { acceptedTypes, attachmentRefusal, takes } from "./attachments";
import { Composer } from "./composer";
import { useConversationTitle } from "./conversation-list";
import { EffortPicker } from "./effort-picker";
import { Message, preloadMarkdown, Unanswered, Waiting } from "./message";
import { ModelPicker } from "./model-picker";
import { modelOf, rememberModel, usableModel, useModels } from "./models";
import type { Session } from "./session";
import { useAutoscroll } from "./use-autoscroll";
import { useFileDrop } from "./use-file-drop";

const SUGGESTIONS = [
  "How does a water turbine work?",
  "Merge two sorted lists in Python",
  "Compare ways to cache an API",
];

export function ChatView({ session }: { session: Session }) {
  const { messages, status } = useChat({ chat: session.chat, throttle: 50 });
  const state = useStore(session.state);
  const models = useModels();
  const view = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const composer = useRef<HTMLTextAreaElement>(null);
  const { atEnd, toEnd } = useAutoscroll(view, content);

  const title = useConversationTitle(session.id);
  const busy = status === "submitted" || status === "streaming";
  const last = messages.at(-1);
  const is_empty = messages.length === 0 && !busy;
  const model_id = usableModel(models.data, state.model);
  const model = modelOf(models.data, model_id);
  const refusal = model ? attachmentRefusal(state.attachments, model) : null;
  const retry = useCallback(() => {
    toEnd();
    void session.retry();
  }, [session, toEnd]);

  useEffect(preloadMarkdown, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another session is another page.
  useEffect(() => {
    toEnd();
    // On a touch screen the keyboard would cover the conversation just opened.
    if (window.matchMedia("(pointer: fine)").matches) composer.current?.focus();
  }, [session]);

  const send = (text: string) => {
    toEnd();
    void session.send(text);
  };

  const attach = (files: File[]) => {
    if (model) void session.attach(files, model);
  };
  const is_dropping = useFileDrop(attach);

  return (
    <div className={cn("relative flex h-full flex-col", is_empty && "justify-center pb-[12dvh]")}>
      {!is_empty && <h1 className="sr-only">{title ?? "New chat"}</h1>}
      {is_dropping && model && (
        <div className="pointer-events-none absolute inset-2 z-40 flex flex-col items-center justify-center gap-2 rounded-2xl border-2 border-dashed border-primary/60 bg-background/90 p-6 text-center">
          <PaperclipIcon className="size-7 text-primary" />
          <p className="text-lg font-medium">Drop files to attach them</p>
          <p className="text-sm text-muted-foreground">{takes(model)}</p>
        </div>
      )}
      <title>{title === undefined ? "Tailrace" : `${title} · Tailrace`}</title>
      <div
        ref={view}
        className={cn("overflow-y-auto overscroll-contain", is_empty ? "flex-none" : "flex-1")}
      >
        <div ref={content} className="mx-auto w-full max-w-3xl px-4 sm:px-6">
          {is_empty ? (
            <Welcome />
          ) : (
            <div
              role="log"
              aria-label="Conversation"
              aria-live="polite"
              aria-busy={busy}
              className="space-y-8 pt-8 pb-10"
            >
              {messages.map((message) => (
                <Message
                  key={message.id}
                  message={message}
                  streaming={busy && message === last && message.role === "assistant"}
                  onRetry={!busy && message === last ? retry : undefined}
                />
              ))}
              {busy && last?.role === "user" && <Waiting />}
              {!busy && last?.role === "user" && <Unanswered onRetry={retry} />}
            </div>
          )}
        </div>
      </div>

      <div className="relative mx-auto w-full max-w-3xl px-3 pb-3 sm:px-6 sm:pb-5">
        {!is_empty && (
          <div className="pointer-events-none absolute inset-x-0 -top-8 h-8 bg-linear-to-t from-background to-transparent" />
        )}
        {!is_empty && !atEnd && (
          <Button
            variant="secondary"
            size="icon-sm"
            aria-label="Scroll to the end"
            className="absolute -top-11 left-1/2 -translate-x-1/2 rounded-full border shadow-lg"
            onClick={() => toEnd("smooth")}
          >
            <ArrowDownIcon />
          </Button>
        )}
        {state.connection === "reconnecting" && (
          <Notice tone="warning" role="status" className="mb-2">
            The connection was lost. Reconnecting…
          </Notice>
        )}
        {state.failure !== null && (
          <Notice
            tone="destructive"
            role="alert"
            className="mb-2"
            action={
              <>
                {state.failure.action === "sign-in" && (
                  <Button size="xs" onClick={() => openAuth("login")}>
                    Sign in
                  </Button>
                )}
                <DismissButton onClick={() => session.dismissFailure()} />
              </>
            }
          >
            {state.failure.detail}
          </Notice>
        )}
        {refusal !== null && (
          <Notice tone="warning" role="status" className="mb-2">
            {refusal}
          </Notice>
        )}
        {state.notice !== null && (
          <Notice
            tone="warning"
            role="status"
            className="mb-2"
            action={
              <>
                <Button size="xs" variant="outline" onClick={() => openAuth("login")}>
                  Sign in
                </Button>
                <DismissButton onClick={() => session.dismissNotice()} />
              </>
            }
          >
            {state.notice}
          </Notice>
        )}
        {models.isError && (
          <Notice tone="destructive" role="alert" className="mb-2">
            The list of models could not be loaded. {sentence(models.error)}
          </Notice>
        )}
        {models.isSuccess && model_id === null && (
          <Notice tone="warning" role="status" className="mb-2">
            No model is available just now.{" "}
            {models.data.items.find((item) => item.reason)?.reason ?? "No provider is configured."}
          </Notice>
        )}
        <Composer
          ref={composer}
          draft={state.draft}
          onDraft={(draft) => session.setDraft(draft)}
          onSend={send}
          onStop={() => void session.stop()}
          busy={busy}
          stopping={state.stopping}
          attachments={state.attachments}
          onAttach={attach}
          onDetach={(id) => session.detach(id)}
          accept={model ? acceptedTypes(model) : null}
          disabled={(models.isSuccess && model_id === null) || refusal !== null}
        >
          {models.data && (
            <ModelPicker
              models={models.data}
              value={model_id}
              next={composer}
              onOpen={() => void models.refetch()}
              onChange={(id) => {
                rememberModel(id);
                session.setModel(id);
              }}
            />
          )}
          {model?.capabilities.includes("reasoning") && <EffortPicker />}
        </Composer>
        {is_empty && (
          <div className="mt-4 flex flex-wrap justify-center gap-2">
            {SUGGESTIONS.map((suggestion) => (
              <Button
                key={suggestion}
                variant="outline"
                size="sm"
                className="h-auto min-h-8 border-border font-normal whitespace-normal text-muted-foreground"
                onClick={() => {
                  session.setDraft(suggestion);
                  composer.current?.focus();
                }}
              >
                {suggestion}
              </Button>
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

function DismissButton({ onClick }: { onClick: () => void }) {
  return (
    <Button variant="ghost" size="icon-xs" aria-label="Dismiss" onClick={onClick}>
      <XIcon />
    </Button>
  );
}

function Welcome() {
  return (
    <div className="flex flex-col items-center gap-4 pb-8 text-center">
      <Logo className="size-10 text-primary" />
      <h1 className="text-2xl font-semibold tracking-tight text-balance sm:text-3xl">
        What shall we work through?
      </h1>
    </div>
  );
}
