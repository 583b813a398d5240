/**
 * Takes over what a guest said in this browser to the account that was signed in to: sends it, and
 * forgets here only what the server says it has. What fails stays, and can be sent again.
 * Called by `use-me.ts` when an owner arrives, and by the notice that offers another try.
 */
import {
  forgetGuestConversation,
  type GuestConversation,
  guestConversations,
  noteRefusal,
  readGuestMessages,
} from "@/features/chat/guest-storage";
import { type ChatMessage, toBranch, withoutFileData } from "@/features/chat/messages";
import { post } from "@/lib/api";
import { plural } from "@/lib/format";
import { ProblemError, sentence } from "@/lib/problem";
import { createStore } from "@/lib/store";
import { authApi, type ImportReport, type ToldConversation } from "./api";

/** What the server takes in one request. */
const MAX_CONVERSATIONS = 100;
const MAX_BYTES = 6 * 1024 * 1024;
/** Bytes of `{"conversations":[…]}` around them. */
const FRAME = 1024;

export type ImportState =
  | { phase: "idle" }
  /** Answers are still coming in; `cut` waits for them no longer. */
  | { phase: "waiting"; cut: () => void }
  | { phase: "importing"; count: number }
  /** What is not said to be taken is still in this browser. */
  | { phase: "failed"; count: number; error: unknown }
  /** It is over, and there is something to know about it. */
  | { phase: "told"; detail: string };

export const importState = createStore<ImportState>({ phase: "idle" });

export function dismissImport(): void {
  importState.set({ phase: "idle" });
}

interface Packed {
  /** As this browser holds it. */
  held: ChatMessage[];
  told: ToldConversation;
  bytes: number;
}

/**
 * Sends everything that this browser holds, and what of it was refused before only when somebody
 * asks for it. Never throws: how it went is in `importState`.
 */
export async function importGuestConversations({ again = false } = {}): Promise<void> {
  const left = new Map<string, Packed>();
  for (const conversation of guestConversations.get()) {
    const held = readGuestMessages(conversation.id);
    if (held === null || (conversation.refused !== undefined && !again)) continue;
    left.set(conversation.id, pack(conversation, held));
  }
  if (left.size === 0) return dismissImport();
  importState.set({ phase: "importing", count: left.size });
  const refusals: string[] = [];
  let files = 0;
  try {
    for (const batch of batches([...left.values()])) {
      const report = await take(batch);
      files += report.left_out.files ?? 0;
      const questions: Promise<void>[] = [];
      for (const { id, status, reason } of report.items) {
        const packed = left.get(id);
        if (packed === undefined) continue;
        left.delete(id);
        if (status === "refused") {
          refusals.push(reason ?? "");
          noteRefusal(id, reason ?? "");
          continue;
        }
        forgetGuestConversation(id, packed.held);
        questions.push(askUnanswered(packed.told));
      }
      await Promise.all(questions);
    }
  } catch (error) {
    importState.set({ phase: "failed", count: left.size, error });
    return;
  }
  const detail = tell(refusals, files);
  importState.set(detail === "" ? { phase: "idle" } : { phase: "told", detail });
}

/** A conversation as the server takes it, without its files where it would be too large. */
function pack(
  { id, title, model, created_at, updated_at }: GuestConversation,
  held: ChatMessage[],
): Packed {
  const packed = (messages: ChatMessage[]) => {
    const told = { id, title, model, created_at, updated_at, messages: toTold(messages) };
    return { held, told, bytes: new TextEncoder().encode(JSON.stringify(told)).length + 1 };
  };
  const whole = packed(held);
  return whole.bytes + FRAME <= MAX_BYTES ? whole : packed(withoutFileData(held));
}

/**
 * Messages as the server takes them. An answer that the page lost before its first word is none,
 * so that its question is asked again.
 */
export function toTold(messages: ChatMessage[]): ToldConversation["messages"] {
  const told = messages.map((message) => ({
    id: message.id,
    role: message.role,
    parts: toBranch([message])[0]?.parts ?? [],
    metadata: message.metadata,
  }));
  const last = told.at(-1);
  const { status } = last?.metadata ?? {};
  const is_lost = status === "streaming" || status === "interrupted";
  if (last?.role === "assistant" && last.parts.length === 0 && is_lost) told.pop();
  return told;
}

/** Parts a list into as many requests as it needs. */
export function batches<T extends { bytes: number }>(all: T[]): T[][] {
  const parted: T[][] = [];
  let room = 0;
  for (const one of all) {
    const batch = parted.at(-1);
    if (batch === undefined || batch.length === MAX_CONVERSATIONS || one.bytes > room) {
      parted.push([one]);
      room = MAX_BYTES - FRAME - one.bytes;
    } else {
      batch.push(one);
      room -= one.bytes;
    }
  }
  return parted;
}

/** Sends a batch. One conversation that the server cannot take does not hold up the others. */
async function take(batch: Packed[]): Promise<ImportReport> {
  try {
    return await authApi.importGuest(batch.map(({ told }) => told));
  } catch (error) {
    if (!(error instanceof ProblemError) || ![400, 413, 422].includes(error.status)) throw error;
    const [first, ...others] = batch;
    if (first === undefined || others.length === 0) {
      const refused = { status: "refused" as const, messages: 0, reason: sentence(error) };
      return { items: batch.map(({ told }) => ({ id: told.id, ...refused })), left_out: {} };
    }
    const half = batch.length >> 1;
    const reports = [await take(batch.slice(0, half)), await take(batch.slice(half))];
    return {
      items: reports.flatMap(({ items }) => items),
      left_out: { files: reports.reduce((sum, { left_out }) => sum + (left_out.files ?? 0), 0) },
    };
  }
}

/** Has a question answered that got no answer as a guest; its run needs nobody to follow it. */
async function askUnanswered({ id, messages }: ToldConversation): Promise<void> {
  const last = messages.at(-1);
  if (last?.role !== "user") return;
  const { role, parts } = last;
  try {
    const response = await post("/api/chat", { id, message: { id: last.id, role, parts } });
    await response.body?.cancel();
  } catch {
    // It stands in its conversation, which offers to ask it again.
  }
}

function tell(refusals: string[], files: number): string {
  const told: string[] = [];
  if (refusals.length > 0) {
    const stay = refusals.length === 1 ? "stays" : "stay";
    const reasons = [...new Set(refusals.filter(Boolean))].join(" ");
    told.push(`${plural(refusals.length, "conversation")} ${stay} in this browser. ${reasons}`);
  }
  if (files > 0) told.push(`${plural(files, "file")} could not be kept with your conversations.`);
  return told.join(" ").trim();
}
