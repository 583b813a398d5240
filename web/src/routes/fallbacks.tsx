/** What stands in the place of a page that does not exist, or that broke. */
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { PageMessage } from "@/components/page-message";
import { Button } from "@/components/ui/button";
import { sentence } from "@/lib/problem";

export function NotFound() {
  return (
    <PageMessage title="There is nothing at this address">
      <Button asChild>
        <Link to="/">New chat</Link>
      </Button>
    </PageMessage>
  );
}

export function RouteError({ error, reset }: ErrorComponentProps) {
  return (
    <PageMessage
      title="This page broke"
      detail={sentence(error)}
      role="alert"
      className="h-dvh justify-center px-6"
    >
      <Button onClick={reset}>Try again</Button>
    </PageMessage>
  );
}
