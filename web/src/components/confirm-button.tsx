/** A button for what cannot be taken back: it asks once, in its own place. */
import { useEffect, useState } from "react";
import { Button, type ButtonProps } from "@/components/ui/button";

/** Milliseconds after which an unanswered question is withdrawn. */
const ASKS_FOR = 5_000;

interface ConfirmButtonProps extends Omit<ButtonProps, "onClick" | "children"> {
  label: string;
  /** What the button says once it was pressed, to be pressed again. */
  question: string;
  onConfirm: () => void;
}

export function ConfirmButton({ label, question, onConfirm, ...props }: ConfirmButtonProps) {
  const [asks, setAsks] = useState(false);

  useEffect(() => {
    if (!asks) return;
    const timer = setTimeout(() => setAsks(false), ASKS_FOR);
    return () => clearTimeout(timer);
  }, [asks]);

  return (
    <Button
      {...props}
      variant={asks ? "destructive" : props.variant}
      // Its words are its name while it asks.
      aria-label={asks ? undefined : props["aria-label"]}
      onBlur={() => setAsks(false)}
      onClick={() => {
        if (asks) onConfirm();
        setAsks(!asks);
      }}
    >
      {asks ? question : label}
    </Button>
  );
}
