/** What stands in the place of a page that there is none of: why, and where to go from here. */
import type { ReactNode } from "react";
import { cn } from "@/lib/utils";

interface PageMessageProps {
  title: string;
  detail?: string;
  role?: "alert";
  /** Where it stands; in the middle if nothing is said. */
  className?: string;
  children: ReactNode;
}

export function PageMessage({ title, detail, role, className, children }: PageMessageProps) {
  return (
    <div
      role={role}
      className={cn(
        "flex flex-col items-center gap-3 text-center",
        className ?? "h-full justify-center px-6",
      )}
    >
      <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
      {detail && <p className="max-w-md text-muted-foreground">{detail}</p>}
      <div className="mt-2">{children}</div>
    </div>
  );
}
