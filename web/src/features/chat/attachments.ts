/**
 * Files on their way into a message: what they are, whether the chosen model takes them, and what
 * they hold. A guest's go along inside of messages, as data URLs; a user's are uploaded
 * (`uploads.ts`). Kept by the session, shown by the composer. The server checks again.
 */
import type { FileUIPart } from "ai";
import type { Capability, Model } from "@/lib/api";
import { formatBytes } from "@/lib/format";
import { newId } from "@/lib/ids";
import { isShrinkable, shrink } from "./shrink";

/** The server's default limits; it has the last word. */
const MAX_FILES = 4;
export const MAX_FILE_BYTES = 3 * 1024 * 1024;
/** Of one that is uploaded by itself. */
export const MAX_UPLOAD_BYTES = 10 * 1024 * 1024;
/** Of all files of a message: in base64 they grow by a third, and a request has 6 MiB at most. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** The same for files that were uploaded: what models take at once. */
const MAX_STORED_BYTES = 14 * 1024 * 1024;

export interface Attachment {
  id: string;
  filename: string;
  mediaType: string;
  /** Bytes. */
  size: number;
  /** A data URL, or where the server keeps it; null while the file is on its way. */
  url: string | null;
  /** How much of it was sent, from 0 to 1. */
  progress?: number;
  /** Why it is not attached yet, as a sentence. */
  error?: string;
}

type Kind = "image" | "document" | "text";

const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const DOCUMENT_TYPE = "application/pdf";

/** What browsers call by names of their own, or not at all, though it is text. */
const TEXT_TYPES = /^application\/(json|xml|yaml|x-yaml|toml|sql|javascript|x-sh|x-httpd-php)$/;
const TEXT_EXTENSIONS = new Set(
  (
    "txt md mdx rst log csv tsv json jsonl yaml yml toml ini cfg conf env xml html htm css scss " +
    "svg tex sql sh bash zsh ps1 bat py pyi ipynb js mjs cjs jsx ts mts cts tsx vue svelte java " +
    "kt scala go rs c h cc cpp hpp cs swift rb php pl lua r jl dart ex exs erl hs clj tf proto " +
    "graphql diff patch"
  ).split(" "),
);

const NEEDED: Record<Exclude<Kind, "text">, { capability: Capability; refusal: string }> = {
  image: { capability: "vision", refusal: "does not take images" },
  document: { capability: "documents", refusal: "does not take PDF documents" },
};

/** The media type to send a file under, without parameters; text of any kind is `text/…`. */
export function mediaTypeOf(file: Pick<File, "name" | "type">): string {
  const type = file.type.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (IMAGE_TYPES.includes(type) || type === DOCUMENT_TYPE || type.startsWith("text/")) return type;
  // The name comes before the type: to a browser, `main.ts` is a video.
  const extension = file.name.slice(file.name.lastIndexOf(".") + 1).toLowerCase();
  if (TEXT_EXTENSIONS.has(extension) || TEXT_TYPES.test(type)) return "text/plain";
  if (type === "" && extension === "pdf") return DOCUMENT_TYPE;
  return type || "application/octet-stream";
}

function kindOf(mediaType: string): Kind | null {
  if (IMAGE_TYPES.includes(mediaType)) return "image";
  if (mediaType === DOCUMENT_TYPE) return "document";
  return mediaType.startsWith("text/") ? "text" : null;
}

const STORED = /^\/api\/(attachments\/[0-9a-f-]{36}\/content|shared\/[\w-]+\/files\/\d+\/\d+)$/;

/** True for what our own server keeps; anything else but data is not fetched. */
export function isStored(url: string): boolean {
  return STORED.test(url);
}

/** A picture that may be shown: of a type that draws and does not run, and ours or in the page. */
export function isShownImage({ mediaType, url }: Pick<FileUIPart, "mediaType" | "url">): boolean {
  return (
    IMAGE_TYPES.includes(mediaType) &&
    (url.startsWith(`data:${mediaType};base64,`) || isStored(url))
  );
}

/** Whether a model gets what a document says; of one that is uploaded the server has the text. */
function takesDocuments(model: Model, uploads: boolean): boolean {
  return uploads || model.capabilities.includes("documents");
}

/** What the file dialog offers for a model; `uploads` where files are uploaded. */
export function acceptedTypes(model: Model, uploads = false): string {
  const types = ["text/*", ...[...TEXT_EXTENSIONS].map((extension) => `.${extension}`)];
  if (model.capabilities.includes("vision")) types.unshift(...IMAGE_TYPES);
  if (takesDocuments(model, uploads)) types.unshift(DOCUMENT_TYPE);
  return types.join(",");
}

/** Why a model cannot be sent a file of this type, as a sentence; null when it can. */
function typeRefusal(
  { filename, mediaType }: Pick<Attachment, "filename" | "mediaType">,
  model: Model,
  uploads = false,
): string | null {
  const kind = kindOf(mediaType);
  if (kind === null) {
    return `${filename} cannot be attached: only PNG, JPEG, GIF and WebP images, PDF documents and text files can.`;
  }
  if (kind === "text" || (kind === "document" && takesDocuments(model, uploads))) return null;
  const { capability, refusal } = NEEDED[kind];
  if (model.capabilities.includes(capability)) return null;
  return `${filename} cannot be sent: ${model.display_name} ${refusal}. Choose a model that does.`;
}

/** Why what is attached cannot be sent to a model, as when another one was chosen since. */
export function attachmentRefusal(
  attachments: Attachment[],
  model: Model,
  uploads = false,
): string | null {
  if (attachments.length > MAX_FILES) {
    return `A message takes at most ${MAX_FILES} files; ${attachments.length} are attached.`;
  }
  // One that is on its way may yet become smaller.
  const here = attachments.filter(({ url }) => url !== null);
  const inside = here.filter(({ url }) => !isStored(url ?? ""));
  for (const [files, most] of [
    [inside, MAX_MESSAGE_BYTES],
    [here, MAX_STORED_BYTES],
  ] as const) {
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    if (bytes > most) {
      return `Together the files are too large: they have ${formatBytes(bytes)}, and a message takes at most ${formatBytes(most)}.`;
    }
  }
  const refusals = attachments.map((attachment) => typeRefusal(attachment, model, uploads));
  return refusals.find(Boolean) ?? null;
}

/** What a model can be sent, for a person who holds a file over the page. */
export function takes(model: Model, uploads = false): string {
  const kinds = ["text files"];
  if (takesDocuments(model, uploads)) kinds.unshift("PDF documents");
  if (model.capabilities.includes("vision")) kinds.unshift("images");
  const last = kinds.pop();
  return `${model.display_name} takes ${kinds.length === 0 ? "" : `${kinds.join(", ")} and `}${last}.`;
}

/** Sorts chosen files into what can be attached, still to be read, and sentences on the rest. */
export function sortFiles(
  files: File[],
  attached: number,
  model: Model,
  uploads = false,
): { taken: { attachment: Attachment; file: File }[]; refusals: string[] } {
  const taken: { attachment: Attachment; file: File }[] = [];
  const refusals: string[] = [];
  let too_many = 0;
  for (const file of files) {
    const attachment: Attachment = {
      id: newId(),
      filename: file.name || "file",
      mediaType: mediaTypeOf(file),
      size: file.size,
      url: null,
    };
    const refusal = typeRefusal(attachment, model, uploads) ?? sizeRefusal(attachment, uploads);
    if (refusal !== null) refusals.push(refusal);
    else if (attached + taken.length >= MAX_FILES) too_many += 1;
    else taken.push({ attachment, file });
  }
  if (too_many > 0) {
    const left = too_many === 1 ? "one was left out" : `${too_many} were left out`;
    refusals.push(`A message takes at most ${MAX_FILES} files; ${left}.`);
  }
  return { taken, refusals };
}

function sizeRefusal({ filename, mediaType, size }: Attachment, uploads: boolean): string | null {
  if (size === 0) return `${filename} is empty.`;
  const most = uploads ? MAX_UPLOAD_BYTES : MAX_FILE_BYTES;
  return size <= most || isShrinkable(mediaType, size) ? null : tooLarge(filename, size, most);
}

function tooLarge(filename: string, size: number, most: number): string {
  return `${filename} is too large: it has ${formatBytes(size)}, and at most ${formatBytes(most)} can be sent.`;
}

/** What of a chosen file is sent: the file itself, or a photograph made smaller. */
export interface Prepared {
  content: Blob;
  attachment: Attachment;
}

/**
 * Makes a file ready to be sent; a photograph that is too large becomes a smaller one.
 *
 * Throws an error whose message is a sentence, when the file cannot be read, stays too large, or
 * is text by its name alone.
 */
export async function prepare(file: File, attachment: Attachment): Promise<Prepared> {
  const { filename, mediaType } = attachment;
  if (kindOf(mediaType) === "text") await checkText(file, filename);
  // Models look at no more pixels than this leaves, wherever the picture is kept.
  const is_large = file.size > MAX_FILE_BYTES && isShrinkable(mediaType, file.size);
  return is_large ? makeSmaller(file, attachment) : { content: file, attachment };
}

async function makeSmaller(file: File, attachment: Attachment): Promise<Prepared> {
  const { filename } = attachment;
  const blob = await shrink(file).catch(() => null);
  if (blob === null || blob.size > MAX_FILE_BYTES) {
    throw new Error(tooLarge(filename, file.size, MAX_FILE_BYTES));
  }
  const smaller = {
    ...attachment,
    filename: `${filename.replace(/\.[^.]*$/, "")}.jpg`,
    mediaType: "image/jpeg",
    size: blob.size,
  };
  return { content: blob, attachment: smaller };
}

/** Reads a file into a data URL. Throws as `prepare` does. */
export async function readAttachment(file: File, attachment: Attachment): Promise<Attachment> {
  return inside(await prepare(file, attachment));
}

/** The attachment with what it holds inside of it. */
export async function inside({ content, attachment }: Prepared): Promise<Attachment> {
  return { ...attachment, url: await dataUrl(content, attachment) };
}

function dataUrl(content: Blob, { filename, mediaType }: Attachment): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error(`${filename} could not be read.`));
    reader.readAsDataURL(new Blob([content], { type: mediaType }));
  });
}

async function checkText(file: File, filename: string): Promise<void> {
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Error(`${filename} could not be read.`);
  });
  let text = "\0";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Said below.
  }
  if (text.includes("\0")) throw new Error(`${filename} is not a text file in UTF-8.`);
}

/** The attachment as a part of a message. Of one still on its way there is nothing to send. */
export function toPart({ mediaType, filename, url }: Attachment): FileUIPart[] {
  return url === null ? [] : [{ type: "file", mediaType, filename, url }];
}

/** Bytes that a data URL in base64 holds. */
export function bytesOf(url: string): number {
  const base64 = url.slice(url.indexOf(",") + 1);
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return (base64.length * 3) / 4 - padding;
}
