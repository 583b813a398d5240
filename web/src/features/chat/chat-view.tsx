/** A conversation as it is seen: its messages, its state, the composer. Shown by the chat page. */
import { useChat } from "@ai-sdk/react";
import { ArrowDownIcon, PaperclipIcon, SlidersHorizontalIcon } from "lucide-react";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { DismissButton } from "@/components/dismiss-button";
import { Logo } from "@/components/logo";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { Tooltip } from "@/components/ui/tooltip";
import { openAuth } from "@/features/auth/auth-dialog-state";
import { useMe } from "@/features/auth/use-me";
import { sentence } from "@/lib/problem";
import { useStore } from "@/lib/store";
import { cn } from "@/lib/utils";
import { acceptedTypes, attachmentRefusal, takes } from "./attachments";
import { Composer } from "./composer";
import { useConversationTitle } from "./conversation-list";
import { DeleteDialog } from "./delete-dialog";
import { EffortPicker } from "./effort-picker";
import { FailureNotice } from "./failure-notice";
import { Message, type MessageActions, preloadMarkdown, Unanswered, Waiting } from "./message";
import { ModelPicker } from "./model-picker";
import { modelOf, rememberModel, usableModel, useModels } from "./models";
import type { Session } from "./session";
import { useAutoscroll } from "./use-autoscroll";
import { useFileDrop } from "./use-file-drop";
import { useHead } from "./use-head";
import { useMessageHash } from "./use-message-hash";

const SettingsSheet = lazy(async () => ({
  default: (await import("./settings-sheet")).SettingsSheet,
}));

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
  const { atEnd, toEnd, letGo } = useAutoscroll(view, content);
  const [deleting, setDeleting] = useState<string | null>(null);
  const [settingsOpen, setSettingsOpen] = useState(false);
  const is_guest = useMe().data?.kind !== "user";

  const title = useConversationTitle(session.id);
  const busy = status === "submitted" || status === "streaming";
  const last = messages.at(-1);
  const is_empty = messages.length === 0 && !busy;
  const model_id = usableModel(models.data, state.model);
  const model = modelOf(models.data, model_id);
  const refusal = model ? attachmentRefusal(state.attachments, model, !is_guest) : null;
  const actions = useMemo<MessageActions>(
    () => ({
      startEdit: (id) => session.startEdit(id),
      changeEdit: (text) => session.setEdit(text),
      cancelEdit: () => session.cancelEdit(),
      sendEdit: () => {
        toEnd();
        void session.sendEdit();
      },
      regenerate: (id, model) => {
        toEnd();
        void session.regenerate(id, model);
      },
      select: (id) => {
        // Whoever compares two versions looks at one place.
        letGo();
        void session.select(id);
      },
      remove: setDeleting,
      rate: (id, feedback) => void session.rate(id, feedback),
      stop: () => void session.stop(),
    }),
    [session, toEnd, letGo],
  );

  useHead(session, !is_guest && state.started && !busy);

  useEffect(preloadMarkdown, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another session is another page.
  useEffect(() => {
    toEnd();
    // On a touch screen the keyboard would cover the conversation just opened.
    if (window.matchMedia("(pointer: fine)").matches) composer.current?.focus();
  }, [session]);

  // After the jump to the end, so that an address that names a message has the last word.
  const marked = useMessageHash(session, messages, busy, letGo);

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
      {!is_empty && (
        <header className="flex h-11 shrink-0 items-center gap-1 border-b px-4 sm:px-6">
          <h1 className="min-w-0 flex-1 truncate text-sm font-medium">{title ?? "New chat"}</h1>
          {state.settings !== null && (
            <Tooltip content="Settings of this conversation" side="bottom">
              <Button
                variant="ghost"
                size="icon-sm"
                aria-label="Settings of this conversation"
                onClick={() => setSettingsOpen(true)}
              >
                <SlidersHorizontalIcon />
              </Button>
            </Tooltip>
          )}
        </header>
      )}
      {is_dropping && model && (
        <div className="pointer-events-none absolute inset-2 z-40 flex flex-col items-center justify-center gap-2 rounded-2xl border-2 border-dashed border-primary/60 bg-background/90 p-6 text-center">
          <PaperclipIcon className="size-7 text-primary" />
          <p className="text-lg font-medium">Drop files to attach them</p>
          <p className="text-sm text-muted-foreground">{takes(model, !is_guest)}</p>
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
              {messages.map((message, index) => (
                <Message
                  // By its place: the versions of a message are one thing to whoever steps through.
                  key={messages[index - 1]?.id ?? "first"}
                  message={message}
                  actions={actions}
                  streaming={busy && message === last && message.role === "assistant"}
                  busy={busy}
                  guest={is_guest}
                  first={index === 0}
                  last={message === last}
                  edit={state.edit?.id === message.id ? state.edit.text : null}
                  marked={marked === message.id}
                />
              ))}
              {busy && last?.role === "user" && <Waiting />}
              {!busy && last?.role === "user" && (
                <Unanswered onRetry={() => actions.regenerate(last.id)} />
              )}
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
          <FailureNotice failure={state.failure} onDismiss={() => session.dismissFailure()} />
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
          waiting={state.waiting}
          onHoldBack={() => session.holdBack()}
          attachments={state.attachments}
          onAttach={attach}
          onDetach={(id) => session.detach(id)}
          onRetryAttachment={(id) => session.attachAgain(id)}
          accept={model ? acceptedTypes(model, !is_guest) : null}
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
          {model?.capabilities.includes("reasoning") && (
            <EffortPicker own={session.own_effort} onOpenSettings={() => setSettingsOpen(true)} />
          )}
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
      {deleting !== null && (
        <DeleteDialog
          session={session}
          message_id={deleting}
          guest={is_guest}
          onClose={() => setDeleting(null)}
        />
      )}
      {settingsOpen && state.settings !== null && models.data && (
        <Suspense>
          <SettingsSheet
            session={session}
            settings={state.settings}
            model={state.model}
            models={models.data}
            onClose={() => setSettingsOpen(false)}
          />
        </Suspense>
      )}
    </div>
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
