/** What a model thought before it answered: one line, opened by who wants to read it. */
import { ChevronRightIcon } from "lucide-react";
import { Collapsible } from "radix-ui";
import { cn } from "@/lib/utils";

export function Reasoning({ text, streaming }: { text: string; streaming: boolean }) {
  return (
    <Collapsible.Root className="mb-3">
      <Collapsible.Trigger className="group -ml-1.5 flex cursor-pointer items-center gap-1 rounded-md px-1.5 py-1 text-sm text-muted-foreground outline-none hover:text-foreground focus-visible:ring-2 focus-visible:ring-ring">
        <ChevronRightIcon className="size-4 transition-transform group-data-[state=open]:rotate-90" />
        <span className={cn(streaming && "animate-pulse")}>
          {streaming ? "Thinking…" : "Thoughts"}
        </span>
      </Collapsible.Trigger>
      <Collapsible.Content className="overflow-hidden">
        <div className="mt-1.5 ml-2 border-l-2 py-0.5 pl-4 text-sm leading-relaxed whitespace-pre-wrap text-muted-foreground">
          {text}
        </div>
      </Collapsible.Content>
    </Collapsible.Root>
  );
}
