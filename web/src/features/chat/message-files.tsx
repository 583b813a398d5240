/** The files of a message: pictures that open large, everything else as a chip to download. */
import type { FileUIPart } from "ai";
import { DownloadIcon, FileTextIcon, FileXIcon, ImageOffIcon } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { formatBytes } from "@/lib/format";
import { cn } from "@/lib/utils";
import { bytesOf, isShownImage, isStored } from "./attachments";

export function MessageFiles({ files, className }: { files: FileUIPart[]; className?: string }) {
  if (files.length === 0) return null;
  return (
    <div className={cn("flex flex-wrap items-end gap-2", className)}>
      {files.map((file, index) => {
        // Files are never reordered: their place is their identity.
        const key = `${file.mediaType}-${index}`;
        return isShownImage(file) ? (
          <Picture key={key} file={file} alone={files.length === 1} />
        ) : (
          <Chip key={key} file={file} />
        );
      })}
    </div>
  );
}

function Picture({ file, alone }: { file: FileUIPart; alone: boolean }) {
  const [open, setOpen] = useState(false);
  const name = file.filename ?? "Image";
  return (
    <>
      <button
        type="button"
        aria-label={`Enlarge ${name}`}
        onClick={() => setOpen(true)}
        className="cursor-zoom-in overflow-hidden rounded-xl border outline-none focus-visible:ring-2 focus-visible:ring-ring focus-visible:ring-offset-2 focus-visible:ring-offset-background"
      >
        <img
          src={file.url}
          alt={name}
          decoding="async"
          className={cn(
            alone
              ? "max-h-72 min-h-12 max-w-full object-contain"
              : "size-32 object-cover sm:size-40",
          )}
        />
      </button>
      <Dialog open={open} onOpenChange={setOpen}>
        <DialogContent className="inset-0 m-auto h-fit w-fit max-w-[calc(100vw-2rem)] translate-x-0 translate-y-0 gap-3 p-4">
          <DialogTitle className="truncate pr-10 text-sm font-medium">{name}</DialogTitle>
          <DialogDescription className="sr-only">The image in full size</DialogDescription>
          <img
            src={file.url}
            alt={name}
            className="mx-auto max-h-[calc(100dvh-9rem)] max-w-full rounded-md object-contain"
          />
          <Button variant="ghost" size="sm" className="justify-self-end" asChild>
            <a href={file.url} download={name}>
              <DownloadIcon />
              Download
            </a>
          </Button>
        </DialogContent>
      </Dialog>
    </>
  );
}

const CHIP =
  "flex max-w-full min-w-0 items-center gap-2.5 rounded-xl border bg-card px-3.5 py-2 text-left text-sm";

function Chip({ file }: { file: FileUIPart }) {
  const name = file.filename ?? "File";
  // A file comes from what the page holds or our server does, never from where else a message
  // points to.
  const is_stored = isStored(file.url);
  if (!is_stored && !file.url.startsWith("data:")) {
    const Icon = file.mediaType.startsWith("image/") ? ImageOffIcon : FileXIcon;
    return (
      <span className={cn(CHIP, "border-dashed text-muted-foreground")}>
        <Icon className="size-5 shrink-0" />
        <span className="min-w-0">
          <span className="block truncate">{name}</span>
          <span className="block text-xs">no longer kept in this browser</span>
        </span>
      </span>
    );
  }
  return (
    <a
      href={file.url}
      download={name}
      aria-label={`Download ${name}`}
      className={cn(
        CHIP,
        "transition-colors outline-none hover:bg-accent focus-visible:ring-2 focus-visible:ring-ring",
      )}
    >
      <FileTextIcon className="size-5 shrink-0 text-muted-foreground" />
      <span className="min-w-0">
        <span className="block truncate">{name}</span>
        <span className="block text-xs text-muted-foreground">
          {is_stored ? kindOf(file.mediaType) : formatBytes(bytesOf(file.url))}
        </span>
      </span>
    </a>
  );
}

function kindOf(mediaType: string): string {
  if (mediaType === "application/pdf") return "PDF document";
  return mediaType.startsWith("image/") ? "Image" : "Text file";
}
