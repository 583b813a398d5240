/** The files that go with the message being written, each with a button to take it out. */
import { FileTextIcon, RotateCwIcon, XIcon } from "lucide-react";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { formatBytes, plural } from "@/lib/format";
import { type Attachment, isShownImage } from "./attachments";

interface AttachmentListProps {
  attachments: Attachment[];
  onRemove: (id: string) => void;
  /** Sends a file again that was not taken. */
  onRetry?: (id: string) => void;
}

export function AttachmentList({ attachments, onRemove, onRetry }: AttachmentListProps) {
  const errors = attachments.flatMap(({ id, error }) => (error === undefined ? [] : { id, error }));
  return (
    <>
      <span role="status" className="sr-only">
        {attachments.length > 0 && `${plural(attachments.length, "file")} attached`}
      </span>
      {attachments.length > 0 && (
        <ul aria-label="Attached files" className="flex flex-wrap gap-3 px-3 pt-3">
          {attachments.map((attachment) => (
            <li
              key={attachment.id}
              className="relative flex h-14 max-w-full items-center rounded-lg border bg-muted/50"
            >
              <Preview attachment={attachment} onRetry={onRetry} />
              <Button
                variant="secondary"
                size="icon-xs"
                className="absolute -top-2 -right-2 size-6 rounded-full border shadow-sm"
                aria-label={`Remove ${attachment.filename}`}
                onClick={() => onRemove(attachment.id)}
              >
                <XIcon />
              </Button>
            </li>
          ))}
        </ul>
      )}
      {errors.length > 0 && (
        <div role="alert" className="px-4 pt-2 text-sm text-destructive">
          {errors.map(({ id, error }) => (
            <p key={id}>{error}</p>
          ))}
        </div>
      )}
    </>
  );
}

function Preview({
  attachment,
  onRetry,
}: {
  attachment: Attachment;
  onRetry?: (id: string) => void;
}) {
  const { id, filename, mediaType, size, url, progress, error } = attachment;
  if (error !== undefined) {
    return (
      <span className="flex min-w-0 items-center gap-2 py-1.5 pr-4 pl-2 text-sm">
        <Button
          variant="ghost"
          size="icon-xs"
          aria-label={`Send ${filename} again`}
          onClick={() => onRetry?.(id)}
        >
          <RotateCwIcon />
        </Button>
        <span className="min-w-0">
          <span className="block max-w-40 truncate">{filename}</span>
          <span className="block text-xs text-destructive">not uploaded</span>
        </span>
      </span>
    );
  }
  if (url === null && progress !== undefined) {
    return (
      <span className="flex w-36 min-w-0 flex-col gap-1.5 px-3 text-sm">
        <span className="truncate">{filename}</span>
        <progress
          aria-label={`Uploading ${filename}`}
          value={progress}
          className="h-1 w-full overflow-hidden rounded-full bg-muted [&::-moz-progress-bar]:bg-primary [&::-webkit-progress-bar]:bg-muted [&::-webkit-progress-value]:bg-primary"
        />
      </span>
    );
  }
  if (url === null) return <Skeleton className="h-full w-24 rounded-lg" />;
  if (isShownImage({ mediaType, url })) {
    return (
      <img src={url} alt={filename} title={filename} className="size-14 rounded-lg object-cover" />
    );
  }
  return (
    <span className="flex min-w-0 items-center gap-2.5 py-1.5 pr-4 pl-3 text-sm">
      <FileTextIcon className="size-5 shrink-0 text-muted-foreground" />
      <span className="min-w-0">
        <span className="block max-w-44 truncate">{filename}</span>
        <span className="block text-xs text-muted-foreground">{formatBytes(size)}</span>
      </span>
    </span>
  );
}
