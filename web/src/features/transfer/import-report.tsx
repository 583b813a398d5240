/** What an import took and what not, to be read by whoever asked for it. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { formatCount, plural } from "@/lib/format";
import type { ImportReport } from "./api";
import { byReason, lookedAt } from "./transfer";

/** As many titles as anybody reads; the rest is counted. */
const NAMED = 50;

const SOURCES = { tailrace: "Tailrace", chatgpt: "ChatGPT", claude: "Claude" };

export function ImportReportView({ report }: { report: ImportReport }) {
  const { found, imported, messages, complete, items, left_out } = report;
  const left = Object.entries(left_out);
  const sources = [...new Set(items.map((item) => SOURCES[item.source]))].join(", ");
  return (
    <div className="space-y-3 text-sm">
      <p role="status">
        {complete
          ? `${formatCount(imported)} of ${plural(found, "conversation")} imported`
          : `${formatCount(lookedAt(report))} of ${plural(found, "conversation")} looked at, ${formatCount(imported)} imported`}
        {sources && ` from ${sources}`}
        {imported > 0 && `, with ${plural(messages, "message")}`}.
      </p>
      {imported > 0 && (
        <Section title={`Imported (${formatCount(imported)})`} open={imported <= 10}>
          {items.slice(0, NAMED).map(({ id, title, messages }) => (
            <li key={id} className="flex items-baseline gap-2">
              <Link
                to="/c/$conversationId"
                params={{ conversationId: id }}
                className="min-w-0 truncate text-primary underline-offset-3 hover:underline"
              >
                {title}
              </Link>
              <span className="shrink-0 text-xs text-muted-foreground">
                {plural(messages, "message")}
              </span>
            </li>
          ))}
          <More count={items.length - NAMED} />
        </Section>
      )}
      {byReason(report).map(([reason, titles]) => (
        <Section
          key={reason}
          title={`Not imported (${formatCount(titles.length)}): ${reason}`}
          open={titles.length <= 3}
        >
          {titles.slice(0, NAMED).map((title, index) => (
            // Titles repeat, and never move.
            // biome-ignore lint/suspicious/noArrayIndexKey: their place is their identity.
            <li key={index} className="truncate text-muted-foreground">
              {title}
            </li>
          ))}
          <More count={titles.length - NAMED} />
        </Section>
      ))}
      {left.length > 0 && (
        <Section title="Left out of what was imported" open>
          {left.map(([kind, count]) => (
            <li key={kind} className="text-muted-foreground">
              {formatCount(count)} {kind}
            </li>
          ))}
        </Section>
      )}
    </div>
  );
}

function Section({ title, open, children }: { title: string; open: boolean; children: ReactNode }) {
  return (
    <details open={open} className="rounded-lg border px-3 py-2">
      <summary className="cursor-pointer rounded-sm outline-none focus-visible:ring-2 focus-visible:ring-ring">
        {title}
      </summary>
      <ul className="mt-2 max-h-60 space-y-1 overflow-y-auto">{children}</ul>
    </details>
  );
}

function More({ count }: { count: number }) {
  if (count <= 0) return null;
  return <li className="text-xs text-muted-foreground">and {formatCount(count)} more</li>;
}
