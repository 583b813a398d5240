/** All of an account's conversations, out of here and in: two parts of the account page. */
import { useMutation } from "@tanstack/react-query";
import { DownloadIcon, LoaderCircleIcon, UploadIcon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { Section } from "@/features/account/section";
import { FormProblem } from "@/features/auth/form";
import { formatBytes, formatCount, plural } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { keys, queryClient } from "@/lib/query-client";
import type { ImportReport } from "./api";
import { ImportReportView } from "./import-report";
import { exportAccount, importFile, lookedAt, save } from "./transfer";

export function TransferSection() {
  return (
    <>
      <Export />
      <Import />
    </>
  );
}

/** Ends what is under way when the page is left, or somebody says so. */
function useAbort() {
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);
  return {
    renew: () => {
      controller.current?.abort();
      controller.current = new AbortController();
      return controller.current.signal;
    },
    abort: () => controller.current?.abort(),
  };
}

function Export() {
  const { renew, abort } = useAbort();
  const [saved, setSaved] = useState({ parts: 0, bytes: 0 });
  const run = useMutation({
    mutationFn: () => {
      setSaved({ parts: 0, bytes: 0 });
      return exportAccount((part) => {
        save(part);
        setSaved(({ parts, bytes }) => ({ parts: parts + 1, bytes: bytes + part.blob.size }));
      }, renew());
    },
  });
  const so_far = `${plural(saved.parts, "file")}, ${formatBytes(saved.bytes)}`;
  return (
    <Section
      title="Export"
      about="All conversations with every branch, as JSON and as Markdown, in a zip; in several when they are many."
    >
      <div className="flex flex-wrap items-center gap-2">
        <Button variant="outline" disabled={run.isPending} onClick={() => run.mutate()}>
          {run.isPending ? <LoaderCircleIcon className="animate-spin" /> : <DownloadIcon />}
          Export everything
        </Button>
        {run.isPending && (
          <Button variant="ghost" onClick={abort}>
            Cancel
          </Button>
        )}
        <span role="status" className="text-sm text-muted-foreground">
          {run.isPending && (saved.parts === 0 ? "Packing…" : `Saved so far: ${so_far}`)}
          {run.isSuccess && `Saved: ${so_far}`}
        </span>
      </div>
      <Failure error={run.error} />
    </Section>
  );
}

function Import() {
  const { renew, abort } = useAbort();
  const picker = useRef<HTMLInputElement>(null);
  const [report, setReport] = useState<ImportReport | null>(null);
  const run = useMutation({
    mutationFn: (file: File) => {
      setReport(null);
      return importFile(file, setReport, renew());
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.conversations }),
  });
  return (
    <Section
      title="Import"
      about="A JSON file or zip that was exported here, from ChatGPT or from Claude. What is here already is left as it is."
    >
      <div className="flex flex-wrap items-center gap-2">
        <input
          ref={picker}
          type="file"
          hidden
          aria-label="File to import"
          accept=".json,.zip,application/json,application/zip"
          onChange={(event) => {
            const file = event.target.files?.[0];
            // The same file may be picked again.
            event.target.value = "";
            if (file) run.mutate(file);
          }}
        />
        <Button variant="outline" disabled={run.isPending} onClick={() => picker.current?.click()}>
          {run.isPending ? <LoaderCircleIcon className="animate-spin" /> : <UploadIcon />}
          Import a file
        </Button>
        {run.isPending && (
          <>
            <Button variant="ghost" onClick={abort}>
              Cancel
            </Button>
            <span role="status" className="text-sm text-muted-foreground">
              {report === null
                ? "Reading…"
                : `${formatCount(lookedAt(report))} of ${formatCount(report.found)}…`}
            </span>
          </>
        )}
      </div>
      <Failure error={run.error} />
      {report !== null && !run.isPending && (
        <div className="mt-4">
          <ImportReportView report={report} />
        </div>
      )}
    </Section>
  );
}

function Failure({ error }: { error: Error | null }) {
  // That it was cancelled is no news to whoever did.
  if (error === null || error.name === "AbortError") return null;
  return (
    <div className="mt-4">
      <FormProblem error={error} detail={sentence(error)} />
    </div>
  );
}
