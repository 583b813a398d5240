/** What files are, which of them a model takes, and what is said of the others. */
import { describe, expect, it } from "vitest";
import { modelWith } from "@/test/models";
import {
  acceptedTypes,
  attachmentRefusal,
  bytesOf,
  isShownImage,
  isStored,
  MAX_FILE_BYTES,
  MAX_UPLOAD_BYTES,
  mediaTypeOf,
  readAttachment,
  sortFiles,
  takes,
  toPart,
} from "./attachments";

const plain = modelWith("p/plain", { display_name: "Plain" });
const seeing = modelWith("p/seeing", { capabilities: ["vision", "documents"] });

const file = (name: string, type: string, content: BlobPart = "x") =>
  new File([content], name, { type });
const sized = (name: string, type: string, size: number) =>
  Object.defineProperty(file(name, type), "size", { value: size });
const [png, pdf, text] = [
  file("a.png", "image/png"),
  file("b.pdf", "application/pdf"),
  file("c.txt", "text/plain"),
];

describe("mediaTypeOf", () => {
  it.each([
    ["a.png", "image/png", "image/png"],
    ["a.md", "text/markdown;charset=utf-8", "text/markdown"],
    ["a.md", "", "text/plain"],
    ["main.ts", "video/mp2t", "text/plain"],
    ["data.json", "application/json", "text/plain"],
    ["drawing.svg", "image/svg+xml", "text/plain"],
    ["paper.PDF", "", "application/pdf"],
    ["photo.heic", "image/heic", "image/heic"],
    ["unknown", "", "application/octet-stream"],
  ])("of %s (%s) is %s", (name, type, expected) =>
    expect(mediaTypeOf({ name, type })).toBe(expected),
  );
});

const STORED = "/api/attachments/01a20029-2500-7691-82d0-cb58259cee26/content";

describe("what is uploaded", () => {
  const stored = { id: "1", filename: "b.pdf", mediaType: "application/pdf", size: 1, url: STORED };

  it("takes documents for every model, since the server reads them", () => {
    expect(sortFiles([pdf], 0, plain, true).taken).toHaveLength(1);
    expect(acceptedTypes(plain, true)).toContain("application/pdf");
    expect(takes(plain, true)).toContain("PDF documents");
    expect(attachmentRefusal([stored], plain, true)).toBeNull();
    expect(attachmentRefusal([stored], plain)).toContain("does not take PDF documents");
  });

  it("may be larger than what goes along in a message", () => {
    const large = sized("c.txt", "text/plain", MAX_FILE_BYTES + 1);
    expect(sortFiles([large], 0, plain, true).refusals).toEqual([]);
    const too_large = sized("c.txt", "text/plain", MAX_UPLOAD_BYTES + 1);
    expect(sortFiles([too_large], 0, plain, true).refusals[0]).toContain("at most 10 MiB");
    const files = [1, 2].map((number) => ({ ...stored, id: `${number}`, size: 5 << 20 }));
    expect(attachmentRefusal(files, plain, true)).toBeNull();
    expect(attachmentRefusal([...files, ...files.slice(1)], plain, true)).toContain("14 MiB");
  });

  it("is shown from our own server alone", () => {
    const mediaType = "image/png";
    expect(isShownImage({ mediaType, url: STORED })).toBe(true);
    expect(isShownImage({ mediaType, url: "/api/shared/x-y_z/files/1/2" })).toBe(true);
    expect(isShownImage({ mediaType: "image/svg+xml", url: STORED })).toBe(false);
    for (const url of [`https://elsewhere.example${STORED}`, "/api/auth/logout", `${STORED}/..`]) {
      expect(isStored(url)).toBe(false);
    }
  });
});

describe("sortFiles", () => {
  it("takes what the model takes", () => {
    const { taken, refusals } = sortFiles([png, pdf, text], 0, seeing);
    expect(taken.map(({ attachment }) => attachment.mediaType)).toEqual([
      "image/png",
      "application/pdf",
      "text/plain",
    ]);
    expect(refusals).toEqual([]);
  });

  it("says which file a model does not take", () => {
    const { taken, refusals } = sortFiles([png, pdf, text], 0, plain);
    expect(taken.map(({ attachment }) => attachment.filename)).toEqual(["c.txt"]);
    expect(refusals).toEqual([
      "a.png cannot be sent: Plain does not take images. Choose a model that does.",
      "b.pdf cannot be sent: Plain does not take PDF documents. Choose a model that does.",
    ]);
  });

  it("says which types there are, to who has another", () => {
    const { refusals } = sortFiles([file("clip.mp4", "video/mp4")], 0, seeing);
    expect(refusals).toEqual([
      "clip.mp4 cannot be attached: only PNG, JPEG, GIF and WebP images, PDF documents and text files can.",
    ]);
  });

  it("names the limit of size", () => {
    expect(sortFiles([sized("a.gif", "image/gif", MAX_FILE_BYTES)], 0, seeing).refusals).toEqual(
      [],
    );
    const over = [sized("a.gif", "image/gif", MAX_FILE_BYTES + 1), file("b.txt", "text/plain", "")];
    expect(sortFiles(over, 0, seeing).refusals).toEqual([
      "a.gif is too large: it has 3.1 MiB, and at most 3 MiB can be sent.",
      "b.txt is empty.",
    ]);
  });

  it("takes photographs that can be made smaller", () => {
    const photo = (size: number) => sized("a.jpg", "image/jpeg", size);
    expect(sortFiles([photo(2 * MAX_FILE_BYTES)], 0, seeing).refusals).toEqual([]);
    expect(sortFiles([photo(50 * 2 ** 20)], 0, seeing).refusals).toEqual([
      "a.jpg is too large: it has 50 MiB, and at most 3 MiB can be sent.",
    ]);
  });

  it("takes as many as there is room for", () => {
    const { taken, refusals } = sortFiles([text, text, text], 3, plain);
    expect(taken).toHaveLength(1);
    expect(refusals).toEqual(["A message takes at most 4 files; 2 were left out."]);
  });
});

describe("an attached file", () => {
  const attach = async (given: File) => {
    const [taken] = sortFiles([given], 0, seeing).taken;
    if (taken === undefined) throw new Error("not taken");
    return readAttachment(taken.file, taken.attachment);
  };

  it("is read as what it will be sent as", async () => {
    const attachment = await attach(file("main.ts", "video/mp2t", "let é"));
    expect(attachment.url).toBe(`data:text/plain;base64,${btoa("let \xc3\xa9")}`);
    expect(toPart(attachment)).toEqual([
      { type: "file", mediaType: "text/plain", filename: "main.ts", url: attachment.url },
    ]);
    expect(toPart({ ...attachment, url: null })).toEqual([]);
  });

  it("is refused when it is text by name alone", async () => {
    const binary = file("a.log", "text/plain", new Uint8Array([0xff, 0xfe, 0x00]));
    await expect(attach(binary)).rejects.toThrow("a.log is not a text file in UTF-8.");
  });

  it("is refused when it is too large and no picture that could be made smaller", async () => {
    const large = sized("a.png", "image/png", MAX_FILE_BYTES + 1);
    await expect(attach(large)).rejects.toThrow("a.png is too large: it has 3.1 MiB");
  });

  it("stays in the way of a model that does not take it", async () => {
    const attachment = await attach(png);
    expect(attachmentRefusal([attachment], seeing)).toBeNull();
    expect(attachmentRefusal([attachment], plain)).toContain("Plain does not take images");
    expect(attachmentRefusal(Array(5).fill(attachment), seeing)).toContain("at most 4 files");
    const large = { ...attachment, size: MAX_FILE_BYTES };
    expect(attachmentRefusal([large], seeing)).toBeNull();
    expect(attachmentRefusal([large, large], seeing)).toBe(
      "Together the files are too large: they have 6 MiB, and a message takes at most 4 MiB.",
    );
  });
});

it("offers and tells the types that a model takes", () => {
  expect(acceptedTypes(plain)).toMatch(/^text\/\*,/);
  expect(acceptedTypes(seeing)).toMatch(/^application\/pdf,image\/png,/);
  expect(takes(plain)).toBe("Plain takes text files.");
  expect(takes(seeing)).toBe("seeing takes images, PDF documents and text files.");
});

it("shows pictures that the page holds, and loads none from elsewhere", () => {
  const mediaType = "image/png";
  expect(isShownImage({ mediaType, url: "data:image/png;base64,AA==" })).toBe(true);
  expect(isShownImage({ mediaType, url: "https://example.com/a.png" })).toBe(false);
  expect(isShownImage({ mediaType, url: "data:text/html;base64,AA==" })).toBe(false);
  expect(isShownImage({ mediaType: "image/svg+xml", url: "data:image/svg+xml;base64,AA==" })).toBe(
    false,
  );
});

it.each(["", "a", "ab", "abc"])("counts the bytes of %o", (content) => {
  expect(bytesOf(`data:text/plain;base64,${btoa(content)}`)).toBe(content.length);
});
