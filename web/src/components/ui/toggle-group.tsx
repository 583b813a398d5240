/** shadcn/ui toggle group: one choice of a few, side by side. */
import { ToggleGroup as GroupPrimitive } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "@/lib/utils";

export function ToggleGroup({ className, ...props }: ComponentProps<typeof GroupPrimitive.Root>) {
  return (
    <GroupPrimitive.Root
      data-slot="toggle-group"
      className={cn("inline-flex rounded-lg border bg-card p-0.5", className)}
      {...props}
    />
  );
}

export function ToggleGroupItem({
  className,
  ...props
}: ComponentProps<typeof GroupPrimitive.Item>) {
  return (
    <GroupPrimitive.Item
      data-slot="toggle-group-item"
      className={cn(
        "cursor-pointer rounded-md px-3 py-1 text-[13px] font-medium whitespace-nowrap text-muted-foreground transition-colors outline-none hover:text-foreground focus-visible:ring-2 focus-visible:ring-ring data-[state=on]:bg-secondary data-[state=on]:text-foreground",
        className,
      )}
      {...props}
    />
  );
}
