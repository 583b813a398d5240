/**
 * One conversation while the page is open: its chat, its composer's text, its connection.
 * A session outlives the view, so an answer goes on while another conversation is looked at.
 * Made by `sessions.ts`; shown by `chat-view.tsx`. Never renders anything.
 */
import { Chat } from "@ai-sdk/react";
import { api, type Conversation, type MessageStatus, type Model } from "@/lib/api";
import { newId } from "@/lib/ids";
import { ProblemError, sentence } from "@/lib/problem";
import type { Connection } from "@/lib/sse";
import { createStore, type Store } from "@/lib/store";
import { type Attachment, readAttachment, sortFiles, toPart } from "./attachments";
import {
  type Kept,
  readGuestMessages,
  renameGuestConversation,
  saveGuestConversation,
} from "./guest-storage";
import {
  type ChatMessage,
  fromConversation,
  lastModelAskedFor,
  type MessageMetadata,
  splitUnfinished,
  withSendableFiles,
  withStatus,
} from "./messages";
import type { ReasoningEffort } from "./reasoning-effort";
import { ChatTransport } from "./transport";

/** What is written and not sent. */
export interface Draft {
  text: string;
  attachments: Attachment[];
}

/** Why the last action did not happen, and what the person can do about it. */
export interface Failure {
  detail: string;
  action: "sign-in" | "none";
}

export interface SessionState {
  draft: string;
  attachments: Attachment[];
  /** The model asked for; what is really used depends on what is available. */
  model: string | null;
  connection: Connection;
  /** A stop was asked for, and the answer has not ended yet. */
  stopping: boolean;
  failure: Failure | null;
  /** What a guest should know of what the browser cannot keep or send; null once it is read. */
  notice: string | null;
  /** The server has taken a message of this conversation, so its address is worth sharing. */
  started: boolean;
}

export interface SessionHooks {
  isGuest: () => boolean;
  /** The model to send with, given the one that this conversation prefers. */
  usableModel: (preferred: string | null) => string | null;
  reasoningEffort: (model: string | null) => ReasoningEffort | null;
  onStarted: (id: string) => void;
  onTitle: (id: string, title: string) => void;
  /** A turn ended; `lost` when the page did not see how, and the server knows better. */
  onSettled: (id: string, lost: boolean) => void;
}

const UNKEPT: Record<Kept, string | null> = {
  all: null,
  "without-files":
    "This browser's storage is full. Some attached files will be gone once the page is closed.",
  nothing:
    "This browser's storage is full. This conversation will be gone once the page is closed.",
};
const UNSENT =
  "The files of this conversation are too large to be sent again with every message. The model no longer sees the oldest.";

type Unfollowed = Extract<MessageStatus, "interrupted" | "streaming">;

export class Session {
  readonly id: string;
  readonly chat: Chat<ChatMessage>;
  readonly state: Store<SessionState>;
  /** Counts turns, so that a history fetched before a turn began is not put over it. */
  turn = 0;
  private readonly hooks: SessionHooks;
  private resuming: string | null = null;
  private unsent: (Draft & { id: string }) | null = null;
  private kept: Kept = "all";
  private has_unsent_files = false;

  constructor(id: string, hooks: SessionHooks, model: string | null) {
    this.id = id;
    this.hooks = hooks;
    this.state = createStore<SessionState>({
      draft: "",
      attachments: [],
      model,
      connection: "live",
      stopping: false,
      failure: null,
      notice: null,
      started: false,
    });
    const usable = () => hooks.usableModel(this.state.get().model);
    this.chat = new Chat<ChatMessage>({
      id,
      generateId: newId,
      transport: new ChatTransport({
        conversation_id: id,
        isGuest: hooks.isGuest,
        model: usable,
        reasoningEffort: () => hooks.reasoningEffort(usable()),
        runId: () => this.resuming,
        onStart: (metadata) => this.onStart(metadata),
        onConnection: (connection) => this.update({ connection }),
      }),
      onData: (part) => {
        if (part.type === "data-title") this.onTitle(part.data.title);
      },
    });
  }

  get busy(): boolean {
    return this.chat.status === "submitted" || this.chat.status === "streaming";
  }

  setDraft(draft: string): void {
    this.update({ draft });
  }

  setModel(model: string): void {
    this.update({ model });
  }

  dismissFailure(): void {
    this.update({ failure: null });
  }

  dismissNotice(): void {
    this.update({ notice: null });
  }

  /** Puts files beside the text; those that the model would not take are told of instead. */
  async attach(files: File[], model: Model): Promise<void> {
    const { attachments } = this.state.get();
    const { taken, refusals } = sortFiles(files, attachments.length, model);
    this.update({ attachments: [...attachments, ...taken.map(({ attachment }) => attachment)] });
    this.refuse(refusals);
    const unreadable: string[] = [];
    for (const { attachment, file } of taken) {
      try {
        const read = await readAttachment(file, attachment);
        this.update({
          attachments: this.state
            .get()
            .attachments.map((other) => (other.id === read.id ? read : other)),
        });
      } catch (error) {
        this.detach(attachment.id);
        unreadable.push(sentence(error));
      }
    }
    if (unreadable.length > 0) this.refuse([...refusals, ...unreadable]);
  }

  detach(id: string): void {
    const { attachments } = this.state.get();
    this.update({ attachments: attachments.filter((attachment) => attachment.id !== id) });
  }

  /** What is written and not sent, to go on with in another session. */
  get unsentDraft(): Draft {
    const { draft, attachments } = this.state.get();
    return { text: draft, attachments };
  }

  setUnsentDraft({ text, attachments }: Draft): void {
    // One still being read would be read into the session that it came from.
    this.update({ draft: text, attachments: attachments.filter(({ url }) => url !== null) });
  }

  /** Sends a message, with what is attached, and follows its answer to the end. */
  async send(text: string): Promise<void> {
    if (this.busy) return;
    const { attachments } = this.state.get();
    // The same again after a failure is the same message: the server stores it once.
    const id = isSameDraft(this.unsent, { text, attachments }) ? this.unsent.id : newId();
    this.unsent = null;
    this.turn += 1;
    this.update({ draft: "", attachments: [], failure: null });
    await this.chat.sendMessage({
      id,
      role: "user",
      // Files come first: models read better what a question is about before the question.
      parts: [
        ...attachments.flatMap(toPart),
        ...(text === "" ? [] : [{ type: "text" as const, text }]),
      ],
    });
    this.tellUnsentFiles();
    if (this.chat.status === "error" && this.chat.messages.at(-1)?.id === id) {
      this.takeBack({ id, text, attachments }, this.chat.error);
    }
    this.settle();
  }

  /** Asks again for the answer to the last message, in place of one that failed. */
  async retry(): Promise<void> {
    const last = this.chat.messages.at(-1);
    if (this.busy || last === undefined) return;
    const before = this.chat.messages;
    this.turn += 1;
    this.update({ failure: null });
    await this.chat.regenerate({ messageId: last.id });
    if (this.chat.status === "error" && this.chat.messages.at(-1)?.role === "user") {
      this.update({ failure: this.failureOf(this.chat.error) });
      this.chat.messages = before;
    }
    this.settle();
  }

  /** Asks the server to stop. The stream's own end then says what was kept. */
  async stop(): Promise<void> {
    if (!this.busy) return;
    this.update({ stopping: true, failure: null });
    const { run_id } = this.lastAnswer()?.metadata ?? {};
    // Before the run has a name there is nothing to stop yet: onStart comes back here.
    if (this.chat.status === "submitted" && run_id === undefined) return;
    try {
      await api.stop(this.id, run_id);
    } catch (error) {
      this.update({
        stopping: false,
        failure: { detail: `The answer goes on. ${sentence(error)}`, action: "none" },
      });
    }
  }

  /** Shows what this browser holds of a guest's conversation; nothing is no error. */
  openGuest(): void {
    const messages = readGuestMessages(this.id);
    if (messages === null) return;
    this.update({ started: true, model: lastModelAskedFor(messages) ?? this.state.get().model });
    this.show(messages, "interrupted");
  }

  /** Shows a user's conversation as fetched when `turn` was current; stale ones are left. */
  open(conversation: Conversation, turn: number): void {
    if (turn !== this.turn || this.busy) return;
    const messages = fromConversation(conversation);
    if (isSame(messages, this.chat.messages)) return;
    this.update({ started: true, model: conversation.model });
    this.show(messages, "streaming");
  }

  /** Keeps a guest's branch. Also called when the page is hidden, before a reload. */
  persist(): void {
    if (!this.hooks.isGuest() || this.chat.messages.length === 0) return;
    const kept = saveGuestConversation(this.id, this.chat.messages, this.state.get().model);
    // Told once, not with every save that fails alike.
    if (kept !== this.kept) this.update({ notice: UNKEPT[kept] });
    this.kept = kept;
  }

  private show(messages: ChatMessage[], unfollowed: Unfollowed): void {
    const { settled, partial } = splitUnfinished(messages);
    this.chat.messages = settled;
    if (settled.at(-1)?.role === "user") void this.resume(partial, unfollowed);
  }

  /**
   * Follows an answer that another page load began. When its stream is no more, what is known of
   * it comes back: a guest's will get no further, a user's is finished in the database.
   */
  private async resume(partial: ChatMessage | null, unfollowed: Unfollowed): Promise<void> {
    this.turn += 1;
    const { turn } = this;
    this.resuming = partial?.id ?? null;
    await this.chat.resumeStream();
    if (turn !== this.turn) return;
    if (partial !== null && this.lastAnswer() === undefined) {
      this.chat.messages = withStatus([...this.chat.messages, partial], partial.id, unfollowed);
      this.chat.clearError();
    }
    this.settle();
  }

  private onStart(metadata: MessageMetadata): void {
    this.update({ started: true });
    // The chat adds the started answer after this hook: leave the current task first.
    setTimeout(() => this.persist());
    this.hooks.onStarted(this.id);
    if (this.state.get().stopping) {
      void api.stop(this.id, metadata.run_id).catch(() => this.update({ stopping: false }));
    }
  }

  private onTitle(title: string): void {
    if (this.hooks.isGuest()) {
      this.persist();
      renameGuestConversation(this.id, title);
    }
    this.hooks.onTitle(this.id, title);
  }

  /** A message that was not taken goes back to the composer, before what was typed since. */
  private takeBack(message: Draft & { id: string }, error: Error | undefined): void {
    this.unsent = message;
    this.chat.messages = this.chat.messages.filter(({ id }) => id !== message.id);
    const { draft, attachments } = this.state.get();
    this.update({
      draft: [message.text, draft].filter(Boolean).join("\n\n"),
      attachments: [...message.attachments, ...attachments],
      failure: this.failureOf(error),
    });
  }

  /** A guest's files travel with every message, as far as there is room; told once. */
  private tellUnsentFiles(): void {
    if (this.has_unsent_files || !this.hooks.isGuest()) return;
    this.has_unsent_files = withSendableFiles(this.chat.messages) !== this.chat.messages;
    if (this.has_unsent_files) this.update({ notice: UNSENT });
  }

  private refuse(refusals: string[]): void {
    const failure = { detail: refusals.join(" "), action: "none" as const };
    this.update({ failure: refusals.length === 0 ? null : failure });
  }

  private failureOf(error: Error | undefined): Failure {
    const can_sign_in =
      error instanceof ProblemError && this.hooks.isGuest() && [401, 429].includes(error.status);
    return { detail: sentence(error), action: can_sign_in ? "sign-in" : "none" };
  }

  private settle(): void {
    const last = this.lastAnswer();
    const lost = this.chat.status === "error" && last?.metadata?.status === "streaming";
    this.chat.clearError();
    if (lost) this.chat.messages = withStatus(this.chat.messages, last.id, "interrupted");
    this.update({ stopping: false, connection: "live" });
    this.persist();
    this.hooks.onSettled(this.id, lost);
  }

  private lastAnswer(): ChatMessage | undefined {
    const last = this.chat.messages.at(-1);
    return last?.role === "assistant" ? last : undefined;
  }

  private update(change: Partial<SessionState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}

/** A draft that was taken back, unchanged since. */
function isSameDraft<T extends Draft>(unsent: T | null, draft: Draft): unsent is T {
  return (
    unsent !== null &&
    unsent.text === draft.text &&
    unsent.attachments.length === draft.attachments.length &&
    unsent.attachments.every(({ id }, index) => id === draft.attachments[index]?.id)
  );
}

/** A history that the page has already is left alone, with the ids that its messages were sent by. */
function isSame(fetched: ChatMessage[], shown: ChatMessage[]): boolean {
  const [a, b] = [fetched.at(-1), shown.at(-1)];
  return (
    fetched.length === shown.length &&
    a?.id === b?.id &&
    a?.metadata?.status === b?.metadata?.status
  );
}
