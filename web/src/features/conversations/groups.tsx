/** A list of conversations under headings: the pinned ones, then by age. */
import { Fragment, type ReactNode } from "react";
import { ageGroup } from "@/lib/format";

interface Dated {
  id: string;
  updated_at: string;
  deleted_at?: string | null;
  pinned?: boolean;
}

/** The heading of a conversation: by its last use, or its deletion. */
function headingOf(item: Dated, now: Date = new Date()): string {
  if (item.deleted_at) return ageGroup(item.deleted_at, now);
  return item.pinned ? "Pinned" : ageGroup(item.updated_at, now);
}

export function Groups<T extends Dated>({
  items,
  row,
  empty,
}: {
  items: T[];
  row: (item: T) => ReactNode;
  empty: string;
}) {
  if (items.length === 0) {
    return <p className="px-3 py-2 text-sm text-muted-foreground">{empty}</p>;
  }
  const groups = new Map<string, T[]>();
  const now = new Date();
  for (const item of items) {
    const heading = headingOf(item, now);
    groups.set(heading, [...(groups.get(heading) ?? []), item]);
  }
  return [...groups].map(([heading, members]) => (
    <section key={heading} className="mb-4" aria-label={heading}>
      <h2 className="px-3 pb-1 text-xs font-medium text-muted-foreground">{heading}</h2>
      <ul>
        {members.map((item) => (
          <Fragment key={item.id}>{row(item)}</Fragment>
        ))}
      </ul>
    </section>
  ));
}
