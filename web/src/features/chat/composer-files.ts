/**
 * The files beside what is written in a composer: a user's go to the server as they are chosen, a
 * guest's are read into the page. Part of a session, whose state they are in.
 */
import type { Model } from "@/lib/api";
import { sentence } from "@/lib/problem";
import { type Attachment, prepare, readAttachment, sortFiles } from "./attachments";
import { upload } from "./uploads";

interface ComposerFilesHooks {
  attachments: () => Attachment[];
  onChange: (attachments: Attachment[]) => void;
  onRemove: () => void;
  /** Why files were not taken; nothing where all were. */
  onRefused: (refusals: string[]) => void;
}

export class ComposerFiles {
  private readonly hooks: ComposerFilesHooks;
  /** Files that are not with the server yet, by the id of their attachment. */
  private readonly uploading = new Map<string, { file: File; abort: AbortController }>();

  constructor(hooks: ComposerFilesHooks) {
    this.hooks = hooks;
  }

  async add(files: File[], model: Model, uploads: boolean): Promise<void> {
    const attachments = this.hooks.attachments();
    const { taken, refusals } = sortFiles(files, attachments.length, model, uploads);
    this.hooks.onChange([...attachments, ...taken.map(({ attachment }) => attachment)]);
    this.hooks.onRefused(refusals);
    if (uploads) {
      await Promise.all(taken.map(({ attachment, file }) => this.send(attachment, file)));
      return;
    }
    const unreadable: string[] = [];
    for (const { attachment, file } of taken) {
      try {
        this.change(attachment.id, await readAttachment(file, attachment));
      } catch (error) {
        this.remove(attachment.id);
        unreadable.push(sentence(error));
      }
    }
    if (unreadable.length > 0) this.hooks.onRefused([...refusals, ...unreadable]);
  }

  sendAgain(id: string): void {
    const attachment = this.hooks.attachments().find((other) => other.id === id);
    const file = this.uploading.get(id)?.file;
    if (attachment !== undefined && file !== undefined) void this.send(attachment, file);
  }

  remove(id: string): void {
    this.uploading.get(id)?.abort.abort();
    this.uploading.delete(id);
    this.hooks.onRemove();
    this.hooks.onChange(this.hooks.attachments().filter((attachment) => attachment.id !== id));
  }

  /** Sends a file to the server; what is wrong with it stands at the file. */
  private async send(attachment: Attachment, file: File): Promise<void> {
    const { id } = attachment;
    const abort = new AbortController();
    this.uploading.set(id, { file, abort });
    this.change(id, { progress: 0, error: undefined });
    try {
      const prepared = await prepare(file, attachment);
      const stored = await upload(prepared, {
        signal: abort.signal,
        onProgress: (progress) => this.change(id, { progress }),
      });
      this.uploading.delete(id);
      this.change(id, { ...stored, progress: undefined, error: undefined });
    } catch (error) {
      this.change(id, { progress: undefined, error: sentence(error) });
    }
  }

  private change(id: string, change: Partial<Attachment>): void {
    this.hooks.onChange(
      this.hooks
        .attachments()
        .map((attachment) => (attachment.id === id ? { ...attachment, ...change } : attachment)),
    );
  }
}
