/** The end of a list that goes on: loads the next page when it is scrolled to, or pressed. */
import { useEffect, useRef } from "react";
import { Button } from "@/components/ui/button";

interface LoadMoreProps {
  /** Of an infinite query. */
  list: {
    hasNextPage: boolean;
    isFetchingNextPage: boolean;
    isFetchNextPageError: boolean;
    fetchNextPage: () => unknown;
  };
  label: string;
}

export function LoadMore({ list, label }: LoadMoreProps) {
  const button = useRef<HTMLButtonElement>(null);
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = list;
  // What failed is asked again by a person, not by every scroll.
  const waits = hasNextPage && !isFetchingNextPage && !isFetchNextPageError;

  useEffect(() => {
    if (!waits || button.current === null) return;
    // Observed anew after each page: the end may still be in view.
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) fetchNextPage();
    });
    observer.observe(button.current);
    return () => observer.disconnect();
  }, [waits, fetchNextPage]);

  if (!hasNextPage) return null;
  return (
    <Button
      ref={button}
      variant="ghost"
      size="sm"
      className="mt-1 w-full"
      disabled={isFetchingNextPage}
      onClick={() => fetchNextPage()}
    >
      {isFetchingNextPage ? "Loading…" : isFetchNextPageError ? "Not loaded. Try again" : label}
    </Button>
  );
}
