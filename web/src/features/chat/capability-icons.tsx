/** What a model can do, as small signs with names, and the legend that tells them. */
import { BrainIcon, EyeIcon, FileTextIcon, type LucideIcon, WrenchIcon } from "lucide-react";
import type { Capability, Model } from "@/lib/api";
import { CAPABILITIES } from "./models";

const ICONS: Record<Capability, LucideIcon> = {
  vision: EyeIcon,
  documents: FileTextIcon,
  reasoning: BrainIcon,
  tools: WrenchIcon,
};

const ALL = Object.keys(CAPABILITIES) as Capability[];

export function CapabilityIcons({ capabilities }: { capabilities: Capability[] }) {
  return ALL.filter((capability) => capabilities.includes(capability)).map((capability) => {
    const Icon = ICONS[capability];
    return (
      <span
        key={capability}
        role="img"
        aria-label={CAPABILITIES[capability]}
        title={CAPABILITIES[capability]}
      >
        <Icon className="size-3.5" />
      </span>
    );
  });
}

/** Names the signs that models of a list have; nothing where none has any. */
export function CapabilityLegend({ models }: { models: Model[] }) {
  const shown = ALL.filter((each) =>
    models.some(({ capabilities }) => capabilities.includes(each)),
  );
  if (shown.length === 0) return null;
  return (
    <ul
      className="flex flex-wrap gap-x-3.5 gap-y-1 border-t px-3.5 py-2 text-xs text-muted-foreground"
      aria-label="What the signs mean"
    >
      {shown.map((capability) => {
        const Icon = ICONS[capability];
        return (
          <li key={capability} className="flex items-center gap-1.5">
            <Icon className="size-3.5" />
            {CAPABILITIES[capability]}
          </li>
        );
      })}
    </ul>
  );
}
