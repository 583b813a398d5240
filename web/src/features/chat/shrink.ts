/**
 * Makes photographs small enough to send. A telephone's are larger than what is taken, and models
 * look at no more pixels than are left. Called for attachments that are over the limit alone.
 */

const SHRINKABLE = ["image/png", "image/jpeg", "image/webp"];
/** Bytes; what is larger could take more memory than a telephone has. */
const MAX_SOURCE_BYTES = 40 * 1024 * 1024;
/** Pixels. */
const LONGEST_SIDE = 2_048;
const QUALITY = 0.88;

/** A GIF may move, which would be lost. */
export function isShrinkable(mediaType: string, size: number): boolean {
  return SHRINKABLE.includes(mediaType) && size <= MAX_SOURCE_BYTES;
}

/** The picture as a JPEG, upright. Throws when the browser cannot read it. */
export async function shrink(picture: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("This browser draws no pictures.");
  // A JPEG is nowhere transparent, and black would swallow dark lines.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve, reject) => {
    const take = (blob: Blob | null) =>
      blob === null ? reject(new Error("The picture is too large.")) : resolve(blob);
    canvas.toBlob(take, "image/jpeg", QUALITY);
  });
}
