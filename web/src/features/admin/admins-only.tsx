/** A page for those who administer; to anybody else it is not there. */
import type { ReactNode } from "react";
import { Loading } from "@/components/loading";
import { useMe } from "@/features/auth/use-me";
import { NotFound } from "@/routes/fallbacks";

export function AdminsOnly({ children }: { children: ReactNode }) {
  const me = useMe();
  if (me.data === undefined) {
    return (
      <div className="mx-auto max-w-7xl px-6 pt-8">
        <Loading what="This page" error={me.error} retry={() => void me.refetch()} />
      </div>
    );
  }
  return me.data.role === "admin" ? children : <NotFound />;
}
