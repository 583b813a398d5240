/** Which calls the page is about: by model, provider, kind, how they ended, and for admins whose. */
import { XIcon } from "lucide-react";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/select";
import { cn } from "@/lib/utils";
import {
  isFiltered,
  KINDS,
  type NumbersSearch,
  STATUS_NAMES,
  STATUSES,
  withoutFilters,
} from "./search";
import { useChoices } from "./use-numbers";

interface FilterBarProps {
  search: NumbersSearch;
  is_admin: boolean;
  onChange: (change: Partial<NumbersSearch>) => void;
}

export function FilterBar({ search, is_admin, onChange }: FilterBarProps) {
  const models = useChoices("model", search).data?.items ?? [];
  const users = useChoices("user", search, is_admin).data?.items ?? [];
  const { provider_name, request_model } = search;
  const providers = [...new Set(models.map((item) => item.provider_name ?? ""))];
  const ofProvider = models.filter(
    (item) => provider_name === undefined || item.provider_name === provider_name,
  );
  return (
    <fieldset className="flex min-w-0 flex-wrap items-center gap-2">
      <legend className="sr-only">Filters</legend>
      <Filter
        label="Provider"
        value={provider_name}
        options={providers.map((name) => ({ value: name, label: name }))}
        onChange={(name) => onChange({ provider_name: name, request_model: undefined })}
      />
      <Filter
        label="Model"
        value={request_model}
        options={[...new Set(ofProvider.map((item) => item.request_model ?? ""))].map((name) => ({
          value: name,
          label: name,
        }))}
        onChange={(name) => onChange({ request_model: name })}
      />
      <Filter
        label="Kind"
        value={search.kind}
        options={KINDS.map((kind) => ({ value: kind, label: kind }))}
        onChange={(kind) => onChange({ kind: kind as NumbersSearch["kind"] })}
      />
      <Filter
        label="Status"
        value={search.status}
        options={STATUSES.map((status) => ({ value: status, label: STATUS_NAMES[status] }))}
        onChange={(status) => onChange({ status: status as NumbersSearch["status"] })}
      />
      {is_admin && (
        <Filter
          label="User"
          value={search.user_id}
          options={users.flatMap(({ owner_id, email }) =>
            owner_id ? [{ value: owner_id, label: email ?? owner_id }] : [],
          )}
          onChange={(user_id) => onChange({ user_id })}
        />
      )}
      {isFiltered(search) && (
        <Button variant="ghost" size="sm" onClick={() => onChange(withoutFilters(search))}>
          <XIcon />
          Clear filters
        </Button>
      )}
    </fieldset>
  );
}

interface FilterProps {
  label: string;
  value: string | undefined;
  options: { value: string; label: string }[];
  onChange: (value: string | undefined) => void;
}

function Filter({ label, value, options, onChange }: FilterProps) {
  // What an address names stays to be seen, whether or not there were calls of it.
  const is_listed = value === undefined || options.some((option) => option.value === value);
  return (
    <Select
      aria-label={label}
      value={value ?? ""}
      className={cn("max-w-44", value !== undefined && "[&>select]:border-primary/60")}
      onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
    >
      <option value="">{label}: all</option>
      {!is_listed && <option value={value}>{value}</option>}
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </Select>
  );
}
