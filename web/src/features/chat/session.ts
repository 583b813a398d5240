/**
 * One conversation while the page is open: its chat, its composer's text, its connection.
 * A session outlives the view, so an answer goes on while another conversation is looked at.
 * Made by `sessions.ts`; shown by `chat-view.tsx`. Never renders anything.
 */
import { Chat } from "@ai-sdk/react";
import type { FileUIPart } from "ai";
import { conversationsApi } from "@/features/conversations/api";
import {
  api,
  type Conversation,
  type Feedback,
  isFinal,
  type MessageStatus,
  type Model,
} from "@/lib/api";
import { newId } from "@/lib/ids";
import { sentence } from "@/lib/problem";
import type { Connection } from "@/lib/sse";
import { createStore, type Store } from "@/lib/store";
import { chatApi, type Head, type Settings, type SettingsChange } from "./api";
import { type Attachment, toPart } from "./attachments";
import { ComposerFiles } from "./composer-files";
import { type Failure, failure, failureOf } from "./failure";
import {
  type Kept,
  readGuestMessages,
  renameGuestConversation,
  saveGuestConversation,
} from "./guest-storage";
import {
  type ChatMessage,
  filesOf,
  fromConversation,
  isSame,
  lastModelAskedFor,
  type MessageMetadata,
  siblingsOf,
  splitUnfinished,
  statusOf,
  textOf,
  withMetadata,
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

/** A message that is being changed. */
export interface Edit {
  id: string;
  text: string;
}

export interface SessionState {
  draft: string;
  attachments: Attachment[];
  /** Null while no message is edited. */
  edit: Edit | null;
  /** How the conversation is held; null until that is known, and for a guest. */
  settings: Settings | null;
  /** The model asked for; what is really used depends on what is available. */
  model: string | null;
  connection: Connection;
  /** A stop was asked for, and the answer has not ended yet. */
  stopping: boolean;
  /** What is written goes off by itself once its files have arrived. */
  waiting: boolean;
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
  /** A conversation was read when `turn` was current. */
  onRead: (conversation: Conversation, turn: number) => void;
  /** What was read of the conversation is not the latest any more. */
  onBehind: (id: string) => void;
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
  /** An edit that was not taken, and the id that it was sent by. */
  private unsent_edit: { edit: Edit; id: string } | null = null;
  /** What stands already in the place of the answer that begins next. */
  private others: string[] = [];
  private readonly files: ComposerFiles;
  private kept: Kept = "all";
  private has_unsent_files = false;

  constructor(id: string, hooks: SessionHooks, model: string | null) {
    this.id = id;
    this.hooks = hooks;
    this.state = createStore<SessionState>({
      draft: "",
      attachments: [],
      edit: null,
      settings: null,
      model,
      connection: "live",
      stopping: false,
      waiting: false,
      failure: null,
      notice: null,
      started: false,
    });
    this.files = new ComposerFiles({
      attachments: () => this.state.get().attachments,
      onChange: (attachments) => {
        this.update({ attachments });
        this.sendWaiting();
      },
      // What was to go with a file is not sent without it unasked.
      onRemove: () => this.holdBack(),
      onRefused: (refusals) => this.refuse(refusals),
    });
    const usable = () => hooks.usableModel(this.state.get().model);
    this.chat = new Chat<ChatMessage>({
      id,
      generateId: newId,
      transport: new ChatTransport({
        conversation_id: id,
        isGuest: hooks.isGuest,
        model: usable,
        // What the conversation itself says holds where a message says nothing.
        reasoningEffort: () => (this.own_effort === null ? hooks.reasoningEffort(usable()) : null),
        runId: () => this.resuming,
        siblings: (id) => this.siblingsOfAnswer(id),
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

  /** The reasoning effort that was set for this conversation. */
  get own_effort(): ReasoningEffort | null {
    return this.state.get().settings?.parameters.reasoning_effort ?? null;
  }

  /** Whoever writes on has not said all yet: nothing goes off by itself any more. */
  setDraft(draft: string): void {
    this.update({ draft, waiting: false });
  }

  /** Keeps what waits for its files from going off. */
  holdBack(): void {
    this.update({ waiting: false });
  }

  /** Another model may not take what waits. */
  setModel(model: string): void {
    this.update({ model, waiting: false });
  }

  dismissFailure(): void {
    this.update({ failure: null });
  }

  dismissNotice(): void {
    this.update({ notice: null });
  }

  /** Puts files beside the text; those that the model would not take are told of instead. */
  attach(files: File[], model: Model): Promise<void> {
    return this.files.add(files, model, !this.hooks.isGuest());
  }

  /** Sends a file again that was not taken. */
  attachAgain(id: string): void {
    this.files.sendAgain(id);
  }

  detach(id: string): void {
    this.files.remove(id);
  }

  /** Sends what waits for its files, once all are there; not without one that failed. */
  private sendWaiting(): void {
    const { waiting, draft, attachments } = this.state.get();
    if (!waiting || this.busy) return;
    if (attachments.some(({ error }) => error !== undefined)) this.update({ waiting: false });
    else if (attachments.every(hasArrived)) void this.send(draft.trim());
  }

  /** What is written and not sent, to go on with in another session. */
  get unsentDraft(): Draft {
    const { draft, edit, attachments } = this.state.get();
    const refused = this.unsent_edit !== null && edit !== null ? edit.text : "";
    return { text: [refused, draft].filter(Boolean).join("\n\n"), attachments };
  }

  setUnsentDraft({ text, attachments }: Draft): void {
    // One still being read would be read into the session that it came from.
    this.update({ draft: text, attachments: attachments.filter(hasArrived) });
  }

  /**
   * Sends a message, with what is attached, and follows its answer to the end. While a file is on
   * its way the message waits for it, as what is written.
   */
  async send(text: string): Promise<void> {
    if (this.busy) return;
    const { attachments } = this.state.get();
    const waiting = !attachments.every(hasArrived);
    this.update({ waiting });
    if (waiting) return;
    // The same again after a failure is the same message: the server stores it once.
    const id = isSameDraft(this.unsent, { text, attachments }) ? this.unsent.id : newId();
    this.unsent = null;
    this.begin([]);
    this.update({ draft: "", attachments: [] });
    await this.ask(id, attachments.flatMap(toPart), text, []);
    if (this.wasRefused(id)) this.takeBack({ id, text, attachments }, this.chat.error);
    this.settle();
  }

  startEdit(id: string): void {
    const message = this.chat.messages.find((other) => other.id === id);
    if (message !== undefined) this.update({ edit: { id, text: textOf(message) } });
  }

  setEdit(text: string): void {
    const { edit } = this.state.get();
    if (edit !== null) this.update({ edit: { ...edit, text } });
  }

  cancelEdit(): void {
    this.update({ edit: null });
    // What another tab did meanwhile was left for later.
    if (this.hooks.isGuest()) this.openGuest();
  }

  /**
   * Sends the message that is edited, with the files it had, beside the one it was; a guest's
   * browser holds one branch, so that there it takes the place of it and all below.
   */
  async sendEdit(): Promise<void> {
    const { edit } = this.state.get();
    const before = this.chat.messages;
    const index = before.findIndex(({ id }) => id === edit?.id);
    const old = before[index];
    if (this.busy || edit === null || old === undefined) return;
    const text = edit.text.trim();
    const again = this.unsent_edit;
    const id = again?.edit.id === edit.id && again.edit.text === text ? again.id : newId();
    this.unsent_edit = null;
    this.begin([]);
    this.update({ edit: null });
    this.chat.messages = before.slice(0, index);
    await this.ask(id, filesOf(old), text, siblingsOf(old));
    if (this.wasRefused(id)) {
      this.unsent_edit = { edit: { ...edit, text }, id };
      this.chat.messages = before;
      this.update({ edit, failure: this.failureOf(this.chat.error) });
    }
    this.settle();
  }

  /** Asks for another answer, beside one or to a question that has none, maybe of another model. */
  async regenerate(id: string, model?: string): Promise<void> {
    const before = this.chat.messages;
    const old = before.find((message) => message.id === id);
    if (this.busy || old === undefined) return;
    this.begin(old.role === "assistant" ? siblingsOf(old) : []);
    this.update({ edit: null });
    if (model !== undefined) this.setModel(model);
    await this.chat.regenerate({ messageId: id });
    if (this.chat.status === "error" && this.chat.messages.at(-1)?.role === "user") {
      this.update({ failure: this.failureOf(this.chat.error) });
      this.chat.messages = before;
    }
    this.settle();
  }

  /** Shows the branch of a message; a turn that begins meanwhile stays. */
  async select(id: string): Promise<void> {
    if (this.busy || this.hooks.isGuest()) return;
    this.turn += 1;
    const { turn } = this;
    this.update({ failure: null, edit: null });
    try {
      this.take(await conversationsApi.selectBranch(this.id, id), turn);
    } catch (error) {
      this.update({ failure: this.failureOf(error) });
      // What is not there any more is not to be offered any longer.
      if (isFinal(error)) this.hooks.onBehind(this.id);
    }
  }

  /** Deletes a message and everything below it. Throws what there is to say against it. */
  async remove(id: string): Promise<void> {
    if (this.busy) throw new Error("An answer is under way. Stop it first.");
    if (this.hooks.isGuest()) {
      const index = this.chat.messages.findIndex((message) => message.id === id);
      this.turn += 1;
      this.chat.messages = this.chat.messages.slice(0, index);
      this.persist();
      return;
    }
    this.turn += 1;
    const { turn } = this;
    this.take(await chatApi.deleteBranch(this.id, id), turn);
  }

  /** Rates an answer, at once to be seen; null takes the rating back. */
  async rate(id: string, feedback: Feedback | null): Promise<void> {
    const before = this.chat.messages.find((message) => message.id === id)?.metadata?.feedback;
    this.chat.messages = withMetadata(this.chat.messages, id, { feedback });
    try {
      await chatApi.rate(this.id, id, feedback);
      this.hooks.onBehind(this.id);
    } catch (error) {
      this.chat.messages = withMetadata(this.chat.messages, id, { feedback: before ?? null });
      this.update({ failure: this.failureOf(error) });
    }
  }

  /** Changes how the conversation is held. Throws what the server says against it. */
  async changeSettings(change: SettingsChange): Promise<void> {
    const { turn } = this;
    const conversation = await chatApi.changeSettings(this.id, change);
    this.update({ model: conversation.model });
    this.take(conversation, turn);
  }

  /** Asks the server to stop. The stream's own end then says what was kept. */
  async stop(): Promise<void> {
    const last = this.lastAnswer();
    const is_unfollowed = !this.busy && last?.metadata?.status === "streaming";
    if (!this.busy && !is_unfollowed) return;
    this.update({ stopping: this.busy, failure: null });
    const run_id = is_unfollowed ? last.id : last?.metadata?.run_id;
    // Before the run has a name there is nothing to stop yet: onStart comes back here.
    if (this.chat.status === "submitted" && run_id === undefined) return;
    try {
      await api.stop(this.id, run_id);
    } catch (error) {
      this.update({
        stopping: false,
        failure: failure(`The answer goes on. ${sentence(error)}`),
      });
    }
  }

  /** Shows what this browser holds of a guest's conversation; nothing is no error. */
  openGuest(): void {
    const messages = readGuestMessages(this.id);
    const { edit } = this.state.get();
    if (messages === null || this.busy || edit !== null) return;
    if (isSame(messages, this.chat.messages)) return;
    this.update({ started: true, model: lastModelAskedFor(messages) ?? this.state.get().model });
    this.show(messages, "interrupted");
  }

  /** Shows a user's conversation as fetched when `turn` was current; stale ones are left. */
  open(conversation: Conversation, turn: number): void {
    this.update({ settings: settingsOf(conversation) });
    if (turn !== this.turn || this.busy) return;
    const messages = fromConversation(conversation);
    this.forgetTaken(messages);
    if (this.state.get().started && isSame(messages, this.chat.messages)) return;
    this.update({ started: true, model: conversation.model });
    this.show(messages, "streaming");
  }

  /** Reads the conversation again if the server, asked when `turn` was current, has more of it. */
  compare(head: Head, turn: number): void {
    if (this.isBehind(head, turn)) this.hooks.onBehind(this.id);
  }

  private isBehind(head: Head, turn: number): boolean {
    if (turn !== this.turn || this.busy || this.state.get().edit !== null) return false;
    const last = this.chat.messages.at(-1);
    if (last?.id !== (head.active_leaf_id ?? undefined)) return true;
    const status = last && statusOf(last);
    // A reader sees the end of an answer a moment before it is written.
    const is_ahead = head.status === "streaming" && status !== "interrupted";
    return !is_ahead && status !== (head.status ?? undefined);
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
    const { edit } = this.state.get();
    if (edit !== null && !settled.some(({ id }) => id === edit.id)) this.update({ edit: null });
    this.others = partial === null ? [] : siblingsOf(partial);
    // The run of a guest's message is not known before it answers; a user's is its answer.
    const may_answer = this.hooks.isGuest() && settled.at(-1)?.role === "user";
    if (partial !== null || may_answer) void this.resume(partial, unfollowed);
  }

  /** A message that was thought refused, and was taken after all, need not be sent again. */
  private forgetTaken(messages: ChatMessage[]): void {
    const { unsent } = this;
    if (unsent === null || !messages.some(({ id }) => id === unsent.id)) return;
    this.unsent = null;
    if (isSameDraft(unsent, this.unsentDraft)) {
      this.update({ draft: "", attachments: [], failure: null });
    }
  }

  /** A turn begins; `others` are the answers that stand already where its answer will. */
  private begin(others: string[]): void {
    this.turn += 1;
    this.others = others;
    this.update({ failure: null });
  }

  /** Sends a message below the last one shown and follows its answer to the end. */
  private async ask(
    id: string,
    files: FileUIPart[],
    text: string,
    siblings: string[],
  ): Promise<void> {
    const parent_id = this.chat.messages.at(-1)?.id ?? null;
    const is_branch = !this.hooks.isGuest() && siblings.length > 0;
    // Files come first: models read better what a question is about before the question.
    const parts = [...files, ...(text === "" ? [] : [{ type: "text" as const, text }])];
    await this.chat.sendMessage(
      {
        id,
        role: "user",
        parts,
        metadata: is_branch ? { siblings: [...siblings, id] } : undefined,
      },
      // What is seen is what is gone on with, whatever another tab has shown since.
      parent_id === null && !is_branch ? undefined : { body: { parent_id } },
    );
    this.tellUnsentFiles();
  }

  private wasRefused(id: string): boolean {
    return this.chat.status === "error" && this.chat.messages.at(-1)?.id === id;
  }

  /** Shows a conversation that a change was answered with. */
  private take(conversation: Conversation, turn: number): void {
    this.hooks.onRead(conversation, turn);
    this.open(conversation, turn);
  }

  private siblingsOfAnswer(id: string): string[] | undefined {
    if (this.hooks.isGuest() || this.others.length === 0) return undefined;
    return this.others.includes(id) ? this.others : [...this.others, id];
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
    setTimeout(() => this.busy && this.persist());
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
    if (refusals.length === 0) this.update({ failure: null });
    else this.update({ failure: failure(refusals.join(" ")), waiting: false });
  }

  private failureOf(error: unknown): Failure {
    return failureOf(error, this.hooks.isGuest());
  }

  private settle(): void {
    const last = this.lastAnswer();
    const lost = this.chat.status === "error" && last?.metadata?.status === "streaming";
    this.chat.clearError();
    if (lost) this.chat.messages = withStatus(this.chat.messages, last.id, "interrupted");
    this.update({ stopping: false, connection: "live" });
    this.persist();
    this.hooks.onSettled(this.id, lost);
    // Its files may have arrived while another answer was under way.
    this.sendWaiting();
  }

  private lastAnswer(): ChatMessage | undefined {
    const last = this.chat.messages.at(-1);
    return last?.role === "assistant" ? last : undefined;
  }

  private update(change: Partial<SessionState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}

function hasArrived({ url }: Attachment): boolean {
  return url !== null;
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

function settingsOf({ system_prompt, parameters }: Conversation): Settings {
  return { system_prompt, parameters };
}
