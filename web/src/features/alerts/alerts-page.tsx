/** The route `/numbers/alerts`: alert rules, how they stand, and what happened. For admins. */
import { useMutation } from "@tanstack/react-query";
import { BellPlusIcon } from "lucide-react";
import { useState } from "react";
import { Loading } from "@/components/loading";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/features/account/confirm";
import { AdminsOnly } from "@/features/admin/admins-only";
import { NumbersFrame } from "@/features/numbers/numbers-frame";
import { plural } from "@/lib/format";
import { alertsApi, type Rule } from "./api";
import { History } from "./history";
import { RuleDialog } from "./rule-dialog";
import { RuleRow } from "./rule-row";
import { refreshRules, useRules } from "./use-rules";

export function AlertsPage() {
  return (
    <AdminsOnly>
      <Alerts />
    </AdminsOnly>
  );
}

function Alerts() {
  const rules = useRules();
  const [edited, setEdited] = useState<Rule | "new" | null>(null);
  const [doomed, setDoomed] = useState<Rule | null>(null);
  const [looked_at, setLookedAt] = useState<Rule | null>(null);
  const remove = useMutation({
    mutationFn: alertsApi.remove,
    onSuccess: () => {
      setDoomed(null);
      return refreshRules();
    },
  });
  const firing = rules.data?.filter(({ state }) => state === "firing").length ?? 0;

  return (
    <NumbersFrame
      title="Alerts"
      is_admin
      about={
        <p>
          {firing === 0
            ? "Rules about the numbers, evaluated every minute."
            : `${plural(firing, "rule")} firing now.`}
        </p>
      }
      action={
        <Button size="sm" onClick={() => setEdited("new")}>
          <BellPlusIcon />
          New rule
        </Button>
      }
    >
      <Card aria-label="Rules">
        {rules.data === undefined ? (
          <div className="p-5">
            <Loading what="The rules" error={rules.error} retry={() => void rules.refetch()} />
          </div>
        ) : rules.data.length === 0 ? (
          <div className="flex flex-col items-center gap-3 px-6 py-14 text-center">
            <h2 className="text-lg font-semibold tracking-tight">No rules yet</h2>
            <p className="max-w-md text-sm text-muted-foreground">
              A rule watches one number (errors, times, cost, the queue) and tells the targets of
              TAILRACE_ALERT_TARGETS when it goes too far, and when it has come back.
            </p>
          </div>
        ) : (
          <ul>
            {rules.data.map((rule) => (
              <RuleRow
                key={rule.id}
                rule={rule}
                onChange={() => setEdited(rule)}
                onDelete={() => {
                  remove.reset();
                  setDoomed(rule);
                }}
                onHistory={() => setLookedAt(rule)}
              />
            ))}
          </ul>
        )}
      </Card>
      <History rule={looked_at} onAll={() => setLookedAt(null)} />
      {edited !== null && (
        <RuleDialog rule={edited === "new" ? null : edited} onClose={() => setEdited(null)} />
      )}
      <Confirm
        open={doomed !== null}
        title={`Delete ${doomed?.name ?? ""}?`}
        verb="Delete"
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => doomed && remove.mutate(doomed.id)}
        onClose={() => setDoomed(null)}
      >
        Nobody is told by it any more. Its history stays.
      </Confirm>
    </NumbersFrame>
  );
}
