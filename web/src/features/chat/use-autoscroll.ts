/**
 * Keeps the newest words in view while the reader is at the end, and lets go as soon as they
 * scroll up, or are shown another place. Used by the chat view alone.
 */
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

/** Pixels from the end that still count as being at the end. */
const NEAR = 64;

export function useAutoscroll(
  view: RefObject<HTMLElement | null>,
  content: RefObject<HTMLElement | null>,
) {
  const following = useRef(true);
  const [atEnd, setAtEnd] = useState(true);

  const toEnd = useCallback(
    (behavior: ScrollBehavior = "instant") => {
      following.current = true;
      view.current?.scrollTo({ top: view.current.scrollHeight, behavior });
    },
    [view],
  );

  const letGo = useCallback(() => {
    following.current = false;
  }, []);

  useEffect(() => {
    const element = view.current;
    const inner = content.current;
    if (element === null || inner === null) return;
    let last_top = element.scrollTop;

    const onScroll = () => {
      const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      // Only the reader scrolls upwards: growing content never does.
      if (element.scrollTop < last_top && !near) following.current = false;
      else if (near) following.current = true;
      last_top = element.scrollTop;
      setAtEnd(near);
    };
    // A wheel turned upwards counts before the page has moved, or the next chunk would win.
    const onWheel = (event: WheelEvent) => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) {
        following.current = false;
      }
    };
    const observer = new ResizeObserver(() => {
      if (following.current) element.scrollTop = element.scrollHeight;
      last_top = element.scrollTop;
      setAtEnd(element.scrollHeight - element.scrollTop - element.clientHeight < NEAR);
    });

    element.addEventListener("scroll", onScroll, { passive: true });
    element.addEventListener("wheel", onWheel, { passive: true });
    observer.observe(inner);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", onScroll);
      element.removeEventListener("wheel", onWheel);
      observer.disconnect();
    };
  }, [view, content]);

  return { atEnd, toEnd, letGo };
}
