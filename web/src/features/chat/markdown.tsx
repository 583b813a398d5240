/**
 * An answer's markdown as it streams. Loaded apart from the page's first paint by `message.tsx`.
 * Images that a model names are shown as links: loading them would tell a stranger's server that
 * this answer was read, and whatever the model put into the address.
 */
import { type Components, Streamdown } from "streamdown";
import { codePlugin } from "./code-plugin";

const components: Components = {
  table: ({ node: _, ...props }) => (
    <div className="overflow-x-auto rounded-lg border">
      <table className="w-full border-collapse text-sm" {...props} />
    </div>
  ),
  thead: ({ node: _, ...props }) => <thead className="bg-muted/70" {...props} />,
  tr: ({ node: _, ...props }) => <tr className="border-border not-first:border-t" {...props} />,
  th: ({ node: _, ...props }) => (
    <th className="px-3.5 py-2 text-left font-medium whitespace-nowrap" {...props} />
  ),
  td: ({ node: _, ...props }) => <td className="px-3.5 py-2 align-top" {...props} />,
  a: ({ node: _, ...props }) => (
    <a
      className="font-medium text-primary underline decoration-primary/40 underline-offset-3 hover:decoration-primary"
      target="_blank"
      rel="noreferrer noopener"
      {...props}
    />
  ),
  img: ({ alt, src }) =>
    typeof src === "string" ? (
      <a
        href={src}
        target="_blank"
        rel="noreferrer noopener"
        className="text-primary underline underline-offset-3"
      >
        {alt || "Image"}
      </a>
    ) : (
      <span>{alt}</span>
    ),
};

const plugins = { code: codePlugin };
const linkSafety = { enabled: false };
const controls = { code: { copy: true, download: false }, table: false };

export default function Markdown({ text, streaming }: { text: string; streaming: boolean }) {
  return (
    <Streamdown
      className="markdown"
      mode={streaming ? "streaming" : "static"}
      isAnimating={streaming}
      caret={streaming ? "block" : undefined}
      components={components}
      plugins={plugins}
      controls={controls}
      linkSafety={linkSafety}
      lineNumbers={false}
      codeBlockMaxHeight={520}
    >
      {text}
    </Streamdown>
  );
}
