/** Puts every page into the shell, but for those that stand alone: read by who has no account. */
import { Outlet, useMatches } from "@tanstack/react-router";
import { Shell } from "./shell";

export function Root() {
  const is_bare = useMatches({ select: (all) => all.some((match) => match.staticData.bare) });
  return is_bare ? <Outlet /> : <Shell />;
}
