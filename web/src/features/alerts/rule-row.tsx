/** One alert rule: what it looks for, how things stand, and what can be done to it. */
import {
  BellOffIcon,
  BellRingIcon,
  EllipsisIcon,
  HistoryIcon,
  PencilIcon,
  PowerIcon,
  Trash2Icon,
} from "lucide-react";
import { Time } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuLabel,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import { plural } from "@/lib/format";
import { alertsApi, type Rule } from "./api";
import { describe, formatSpan, formatValue } from "./rules";
import { StateBadge } from "./state-badge";
import { useRuleAction } from "./use-rules";

/** Seconds. */
const SILENCES = [3_600, 8 * 3_600, 24 * 3_600, 7 * 24 * 3_600];

interface RuleRowProps {
  rule: Rule;
  onChange: () => void;
  onDelete: () => void;
  onHistory: () => void;
}

export function RuleRow({ rule, onChange, onDelete, onHistory }: RuleRowProps) {
  const worst = rule.states[0];
  const firing = rule.states.filter(({ state }) => state === "firing").length;
  const is_silenced =
    rule.silenced_until !== null && new Date(rule.silenced_until).getTime() > Date.now();
  return (
    <li
      aria-label={rule.name}
      className="flex items-start gap-3 border-t border-border/70 px-4 py-3 first:border-t-0 sm:px-5"
    >
      <div className="min-w-0 flex-1 space-y-1">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="font-medium break-words">{rule.name}</span>
          {rule.enabled ? <StateBadge state={rule.state} /> : <Badge>off</Badge>}
          <Badge variant={rule.severity === "critical" ? "destructive" : "neutral"}>
            {rule.severity}
          </Badge>
          {is_silenced && rule.silenced_until !== null && (
            <Badge variant="warning">
              <BellOffIcon aria-hidden="true" />
              silenced until <Time iso={rule.silenced_until} />
            </Badge>
          )}
          {rule.source === "settings" && <Badge>from the settings</Badge>}
        </p>
        <p className="text-sm text-muted-foreground tabular-nums">
          {describe(rule)}
          {worst && rule.enabled && (
            <>
              {" · "}
              <span className="text-foreground">now {formatValue(rule.kind, worst.value)}</span>
              {" · "}
              {rule.state} since <Time iso={worst.since} />
            </>
          )}
          {firing > 1 && ` · ${plural(firing, "user")} above it`}
        </p>
        {rule.problem && (
          <p className="text-sm text-warning">It could not be evaluated: {rule.problem}</p>
        )}
        {rule.evaluated_at === null && rule.enabled && (
          <p className="text-xs text-muted-foreground">Not evaluated yet.</p>
        )}
      </div>
      <RuleMenu
        rule={rule}
        is_silenced={is_silenced}
        onChange={onChange}
        onDelete={onDelete}
        onHistory={onHistory}
      />
    </li>
  );
}

function RuleMenu({
  rule,
  is_silenced,
  onChange,
  onDelete,
  onHistory,
}: RuleRowProps & { is_silenced: boolean }) {
  const silence = useRuleAction(alertsApi.silence);
  const change = useRuleAction(alertsApi.change);
  const is_own = rule.source === "api";
  return (
    <DropdownMenu>
      <DropdownMenuTrigger asChild>
        <Button variant="ghost" size="icon-sm" aria-label={`Options of ${rule.name}`}>
          <EllipsisIcon />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="end">
        <DropdownMenuItem onSelect={onHistory}>
          <HistoryIcon />
          Its history
        </DropdownMenuItem>
        {is_own && (
          <>
            <DropdownMenuItem onSelect={onChange}>
              <PencilIcon />
              Change
            </DropdownMenuItem>
            <DropdownMenuItem
              onSelect={() => change.mutate({ id: rule.id, change: { enabled: !rule.enabled } })}
            >
              <PowerIcon />
              {rule.enabled ? "Turn off" : "Turn on"}
            </DropdownMenuItem>
          </>
        )}
        <DropdownMenuSeparator />
        {is_silenced ? (
          <DropdownMenuItem onSelect={() => silence.mutate({ id: rule.id, until: null })}>
            <BellRingIcon />
            End the silence
          </DropdownMenuItem>
        ) : (
          <>
            <DropdownMenuLabel>Tell nobody for</DropdownMenuLabel>
            {SILENCES.map((seconds) => (
              <DropdownMenuItem
                key={seconds}
                onSelect={() =>
                  silence.mutate({ id: rule.id, until: new Date(Date.now() + seconds * 1000) })
                }
              >
                <BellOffIcon />
                {seconds > 86_400 ? `${seconds / 86_400} days` : formatSpan(seconds)}
              </DropdownMenuItem>
            ))}
          </>
        )}
        {is_own && (
          <>
            <DropdownMenuSeparator />
            <DropdownMenuItem onSelect={onDelete}>
              <Trash2Icon />
              Delete…
            </DropdownMenuItem>
          </>
        )}
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
