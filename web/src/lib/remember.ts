/** Small choices kept in this browser. That its storage is full is no reason to stop anything. */

export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The choice holds until the page is closed.
  }
}
