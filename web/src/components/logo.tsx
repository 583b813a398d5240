/** The mark: water leaving the wheel, calmer line by line. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" className={className} fill="none" aria-hidden="true">
      <g stroke="currentColor" strokeWidth="2.2" strokeLinecap="round">
        <path d="M3 7c3.400 0 4.200 2.600 8 2.600S15.800 7 21 7" />
        <path d="M3 12.200c3.400 0 4.200 2.600 8 2.600s4.800-2.600 10-2.600" opacity=".65" />
        <path d="M3 17.400c3.400 0 4.200 2.600 8 2.600s4.800-2.600 10-2.600" opacity=".35" />
      </g>
    </svg>
  );
}
