/** What stands in the place of a page that does not exist, or that broke. */
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Button } from "@/components/ui/button";
import { sentence } from "@/lib/problem";

export function NotFound() {
  return (
    <div className="flex h-full flex-col items-center justify-center gap-3 px-6 text-center">
      <h1 className="text-xl font-semibold tracking-tight">There is nothing at this address</h1>
      <Button asChild>
        <Link to="/">New chat</Link>
      </Button>
    </div>
  );
}

export function RouteError({ error, reset }: ErrorComponentProps) {
  return (
    <div
      role="alert"
      className="flex h-dvh flex-col items-center justify-center gap-3 px-6 text-center"
    >
      <h1 className="text-xl font-semibold tracking-tight">This page broke</h1>
      <p className="max-w-md text-muted-foreground">{sentence(error)}</p>
      <Button onClick={reset}>Try again</Button>
    </div>
  );
}
