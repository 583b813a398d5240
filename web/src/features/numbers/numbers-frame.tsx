/** The frame of the pages about numbers: heading, and for admins the way to alerts and the queue. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { FiringBadge } from "@/features/alerts/firing-badge";
import { DEFAULT_RANGE } from "./range";

interface NumbersFrameProps {
  title: string;
  about: ReactNode;
  action?: ReactNode;
  is_admin: boolean;
  children: ReactNode;
}

export function NumbersFrame({ title, about, action, is_admin, children }: NumbersFrameProps) {
  return (
    <div className="h-full overflow-y-auto">
      <title>{`${title} · Tailrace`}</title>
      <div className="mx-auto max-w-7xl space-y-3 px-4 pt-5 pb-10 sm:px-6 sm:pt-6">
        {is_admin && <Tabs />}
        <div className="flex flex-wrap items-end justify-between gap-3 pb-1">
          <div>
            <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
            <div className="mt-0.5 flex flex-wrap items-center gap-2 text-sm text-muted-foreground">
              {about}
            </div>
          </div>
          {action}
        </div>
        {children}
      </div>
    </div>
  );
}

const TAB =
  "flex items-center gap-1.5 border-b-2 border-transparent px-1 py-2 text-sm font-medium whitespace-nowrap text-muted-foreground outline-none hover:text-foreground focus-visible:ring-2 focus-visible:ring-ring data-[status=active]:border-primary data-[status=active]:text-foreground";

function Tabs() {
  return (
    <nav aria-label="Numbers" className="-mt-2 flex gap-5 overflow-x-auto border-b">
      <Link
        to="/numbers"
        search={{ range: DEFAULT_RANGE }}
        className={TAB}
        activeOptions={{ exact: true, includeSearch: false }}
      >
        Overview
      </Link>
      <Link to="/numbers/alerts" className={TAB}>
        Alerts
        <FiringBadge />
      </Link>
      <Link to="/numbers/pipeline" className={TAB}>
        Pipeline
      </Link>
    </nav>
  );
}
