/** Making a key, and renaming one. */
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useId } from "react";
import { CopyButton } from "@/components/copy-button";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { Notice } from "@/components/ui/notice";
import { Select } from "@/components/ui/select";
import { Field, FieldNote, FormProblem, SubmitButton } from "@/features/auth/form";
import { fieldErrors } from "@/lib/problem";
import { queryClient } from "@/lib/query-client";
import { accountApi, accountKeys, type CreatedKey, type KeyItem, SCOPES, type Scope } from "./api";

/** Days; none is for ever. */
const LIFETIMES = [
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "a year" },
  { value: "", label: "until it is revoked" },
];
const FIELDS = ["name", "scopes", "expires_at"] as const;

function refresh() {
  return queryClient.invalidateQueries({ queryKey: accountKeys.keys });
}

export function NewKeyDialog({ is_admin, onClose }: { is_admin: boolean; onClose: () => void }) {
  const id = useId();
  const create = useMutation({ mutationFn: accountApi.createKey, onSuccess: refresh });
  const { fields, rest } = fieldErrors(create.error, FIELDS);
  const scopes = (Object.keys(SCOPES) as Scope[]).filter((scope) => is_admin || scope !== "admin");

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const days = Number(form.get("lifetime"));
    create.mutate({
      name: String(form.get("name")),
      scopes: form.getAll("scopes") as Scope[],
      expires_at: days === 0 ? null : new Date(Date.now() + days * 86_400_000).toISOString(),
    });
  };

  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      {/* A secret that is seen once is not to be lost by a click beside it. */}
      <DialogContent onInteractOutside={(event) => create.isSuccess && event.preventDefault()}>
        {create.isSuccess ? (
          <Secret created={create.data} onClose={onClose} />
        ) : (
          <form className="space-y-5" onSubmit={submit} noValidate>
            <div className="space-y-1.5 pr-6">
              <DialogTitle>New API key</DialogTitle>
              <DialogDescription>It calls in your name, within its scopes.</DialogDescription>
            </div>
            <FormProblem error={create.error} detail={rest} />
            <Field
              name="name"
              label="Name"
              maxLength={100}
              autoComplete="off"
              required
              error={fields.name}
              hint="What it is for"
            />
            <fieldset
              className="space-y-2"
              aria-invalid={fields.scopes !== undefined}
              aria-describedby={fields.scopes ? `${id}-scopes` : undefined}
            >
              <legend className="mb-1.5 text-sm font-medium">It may</legend>
              {scopes.map((scope) => (
                <label key={scope} className="flex cursor-pointer items-start gap-2.5 text-sm">
                  <input
                    type="checkbox"
                    name="scopes"
                    value={scope}
                    defaultChecked={scope === "chat"}
                    className="mt-0.5 size-4 shrink-0 accent-primary outline-none focus-visible:ring-2 focus-visible:ring-ring"
                  />
                  <span>
                    {SCOPES[scope]} <span className="text-muted-foreground">({scope})</span>
                  </span>
                </label>
              ))}
              <FieldNote id={`${id}-scopes`} error={fields.scopes} />
            </fieldset>
            <div className="space-y-1.5">
              <Label htmlFor={`${id}-lifetime`}>It works for</Label>
              <Select
                id={`${id}-lifetime`}
                name="lifetime"
                defaultValue="90"
                aria-invalid={fields.expires_at !== undefined}
                className="flex w-full"
              >
                {LIFETIMES.map(({ value, label }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Select>
              <FieldNote id={`${id}-lifetime-note`} error={fields.expires_at} />
            </div>
            <div className="flex justify-end gap-2">
              <Button variant="ghost" onClick={onClose}>
                Cancel
              </Button>
              <SubmitButton pending={create.isPending} error={create.error}>
                Make the key
              </SubmitButton>
            </div>
          </form>
        )}
      </DialogContent>
    </Dialog>
  );
}

function Secret({ created, onClose }: { created: CreatedKey; onClose: () => void }) {
  return (
    <div className="space-y-5">
      <div className="space-y-1.5 pr-6">
        <DialogTitle>{created.name}</DialogTitle>
        <DialogDescription>Copy the key now and keep it where secrets are kept.</DialogDescription>
      </div>
      <div className="flex items-center gap-2">
        <Input
          readOnly
          aria-label="The key"
          value={created.key}
          className="font-mono text-xs md:text-xs"
          onFocus={(event) => event.currentTarget.select()}
        />
        <CopyButton text={() => created.key} label="Copy the key" />
      </div>
      <Notice tone="warning">It is not shown again.</Notice>
      <Button className="w-full" onClick={onClose}>
        I have kept it
      </Button>
    </div>
  );
}

export function RenameKeyDialog({ item, onClose }: { item: KeyItem; onClose: () => void }) {
  const rename = useMutation({
    mutationFn: accountApi.renameKey,
    onSuccess: async () => {
      await refresh();
      onClose();
    },
  });
  const { fields, rest } = fieldErrors(rename.error, ["name"] as const);
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent>
        <form
          className="space-y-5"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            const name = String(new FormData(event.currentTarget).get("name"));
            rename.mutate({ id: item.id, name });
          }}
        >
          <div className="space-y-1.5 pr-6">
            <DialogTitle>Rename the key</DialogTitle>
            <DialogDescription>
              <code className="text-xs">{item.prefix}…</code>
            </DialogDescription>
          </div>
          <FormProblem error={rename.error} detail={rest} />
          <Field
            name="name"
            label="Name"
            defaultValue={item.name}
            maxLength={100}
            autoComplete="off"
            required
            error={fields.name}
          />
          <div className="flex justify-end gap-2">
            <Button variant="ghost" onClick={onClose}>
              Cancel
            </Button>
            <SubmitButton pending={rename.isPending} error={rename.error}>
              Rename
            </SubmitButton>
          </div>
        </form>
      </DialogContent>
    </Dialog>
  );
}
