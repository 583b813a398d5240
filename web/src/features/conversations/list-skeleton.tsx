/** Stands in the place of a list of conversations while it is loaded. */
import { Skeleton } from "@/components/ui/skeleton";

export function ListSkeleton() {
  return (
    <div className="space-y-2.5 px-3 py-2">
      {[70, 55, 80, 45].map((width) => (
        <Skeleton key={width} className="h-4" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
