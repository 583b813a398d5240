/**
 * Finds conversations and messages (the combobox pattern of WAI-ARIA, with a list that stays).
 * Opened by Ctrl+K and from the sidebar.
 */
import { useNavigate } from "@tanstack/react-router";
import { SearchIcon } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { LoadMore } from "@/components/load-more";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Select } from "@/components/ui/select";
import { FormProblem } from "@/features/auth/form";
import { messageElementId } from "@/features/chat/message";
import { useModels } from "@/features/chat/models";
import { closeOverlay } from "@/features/conversations/overlay-state";
import { useKnownTags } from "@/features/conversations/use-known-tags";
import { plural } from "@/lib/format";
import { sentence } from "@/lib/problem";
import { MAX_QUERY, type Match } from "./api";
import { MatchOption } from "./match-option";
import { type Between, isBackwards, momentsOf, PERIODS, type Period } from "./period";
import { keyOf, useSearch, useSettled } from "./use-search";

const BACKWARDS = new Error("The first day comes after the last.");

export function SearchDialog() {
  const id = useId();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const [tag, setTag] = useState("");
  const [model, setModel] = useState("");
  const [period, setPeriod] = useState<Period>("any");
  const [between, setBetween] = useState<Between>({ first: "", last: "" });
  const [pointed, setPointed] = useState<string | null>(null);
  const list = useRef<HTMLDivElement>(null);

  const q = useSettled(typed.trim());
  const is_backwards = period === "between" && isBackwards(between);
  const filters = { tag: tag || null, model: model || null, ...momentsOf(period, between) };
  const found = useSearch(q, filters, !is_backwards);
  const matches = typed.trim() === "" || is_backwards ? [] : (found.data?.matches ?? []);
  const active = matches.find((match) => keyOf(match) === pointed) ?? matches[0];
  const is_searching =
    !is_backwards &&
    typed.trim() !== "" &&
    ((found.isFetching && !found.isFetchingNextPage) || q !== typed.trim());

  // biome-ignore lint/correctness/useExhaustiveDependencies: whichever becomes active is shown.
  useEffect(() => {
    list.current?.querySelector("[data-active]")?.scrollIntoView?.({ block: "nearest" });
  }, [active && keyOf(active)]);

  // The conversation shows the branch of the message that its address names.
  const open = ({ conversation_id, message_id }: Match) => {
    closeOverlay();
    void navigate({
      to: "/c/$conversationId",
      params: { conversationId: conversation_id },
      hash: message_id === null ? undefined : messageElementId(message_id),
    });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && active !== undefined && !is_searching) {
      event.preventDefault();
      open(active);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || active === undefined) return;
    event.preventDefault();
    const next = matches.at((matches.indexOf(active) + step) % matches.length);
    if (next !== undefined) setPointed(keyOf(next));
  };

  return (
    <Dialog open onOpenChange={closeOverlay}>
      <DialogContent className="top-4 flex max-h-[calc(100dvh-2rem)] max-w-2xl translate-y-0 flex-col gap-0 overflow-hidden p-0 sm:top-[10dvh] sm:max-h-[80dvh]">
        <DialogTitle className="sr-only">Search</DialogTitle>
        <DialogDescription className="sr-only">
          Titles and messages of all your conversations
        </DialogDescription>
        <div className="flex shrink-0 items-center gap-2.5 border-b pr-12 pl-4">
          <SearchIcon className="size-4 shrink-0 text-muted-foreground" />
          <input
            role="combobox"
            aria-label="Search conversations"
            aria-expanded="true"
            aria-controls={`${id}-list`}
            aria-activedescendant={active && `${id}-${keyOf(active)}`}
            aria-autocomplete="list"
            autoComplete="off"
            spellCheck={false}
            maxLength={MAX_QUERY}
            placeholder="Search titles and messages…"
            value={typed}
            onChange={(event) => {
              setTyped(event.target.value);
              setPointed(null);
            }}
            onKeyDown={onKeyDown}
            className="h-13 w-full min-w-0 bg-transparent text-base outline-none placeholder:text-muted-foreground md:text-sm"
          />
        </div>
        <Filters
          tag={tag}
          onTag={setTag}
          model={model}
          onModel={setModel}
          period={period}
          onPeriod={setPeriod}
          between={between}
          onBetween={setBetween}
        />
        <div ref={list} className="min-h-0 flex-1 overflow-y-auto overscroll-contain p-1.5">
          <Outcome
            q={typed.trim()}
            searching={is_searching}
            error={is_backwards ? BACKWARDS : found.error}
            count={matches.length}
            corrected={found.data?.corrected ?? false}
          />
          <div id={`${id}-list`} role="listbox" aria-label="Found" aria-busy={is_searching}>
            {matches.map((match) => (
              <MatchOption
                key={keyOf(match)}
                id={`${id}-${keyOf(match)}`}
                match={match}
                active={match === active}
                onPoint={() => setPointed(keyOf(match))}
                onChoose={() => open(match)}
              />
            ))}
          </div>
          {matches.length > 0 && <LoadMore list={found} label="Show more" />}
        </div>
      </DialogContent>
    </Dialog>
  );
}

interface FiltersProps {
  tag: string;
  onTag: (tag: string) => void;
  model: string;
  onModel: (model: string) => void;
  period: Period;
  onPeriod: (period: Period) => void;
  between: Between;
  onBetween: (between: Between) => void;
}

const DATE =
  "h-8 rounded-md border border-input bg-popover px-2 text-[13px] outline-none focus-visible:border-ring focus-visible:ring-2 focus-visible:ring-ring/40";

function Filters(props: FiltersProps) {
  const tags = useKnownTags();
  const models = useModels();
  const { between, onBetween } = props;
  return (
    <fieldset className="flex shrink-0 flex-wrap gap-2 border-b px-3 py-2">
      <legend className="sr-only">Narrow the search</legend>
      <Select
        aria-label="Tag"
        className="max-w-40"
        value={props.tag}
        onChange={(event) => props.onTag(event.target.value)}
      >
        <option value="">Any tag</option>
        {tags.map((tag) => (
          <option key={tag} value={tag}>
            #{tag}
          </option>
        ))}
      </Select>
      <Select
        aria-label="Model"
        className="max-w-40"
        value={props.model}
        onChange={(event) => props.onModel(event.target.value)}
      >
        <option value="">Any model</option>
        {models.data?.items.map((model) => (
          <option key={model.id} value={model.id}>
            {model.display_name}
          </option>
        ))}
      </Select>
      <Select
        aria-label="Date"
        className="max-w-40"
        value={props.period}
        onChange={(event) => props.onPeriod(event.target.value as Period)}
      >
        {Object.entries(PERIODS).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </Select>
      {props.period === "between" && (
        <>
          <input
            type="date"
            aria-label="First day"
            className={DATE}
            value={between.first}
            onChange={(event) => onBetween({ ...between, first: event.target.value })}
          />
          <input
            type="date"
            aria-label="Last day"
            className={DATE}
            value={between.last}
            onChange={(event) => onBetween({ ...between, last: event.target.value })}
          />
        </>
      )}
    </fieldset>
  );
}

interface OutcomeProps {
  q: string;
  searching: boolean;
  error: Error | null;
  count: number;
  corrected: boolean;
}

function Outcome({ q, searching, error, count, corrected }: OutcomeProps) {
  if (error !== null && !searching) {
    return (
      <div className="p-1.5">
        <FormProblem error={error} detail={sentence(error)} />
      </div>
    );
  }
  if (q === "") {
    return (
      <p className="px-3 py-5 text-center text-sm text-muted-foreground">
        “Quotes” keep words together, <code>or</code> takes either, <code>-word</code> leaves one
        out.
      </p>
    );
  }
  const is_heard_alone = count > 0 && !corrected;
  return (
    <p
      role="status"
      className={is_heard_alone ? "sr-only" : "px-3 py-2 text-sm text-muted-foreground"}
    >
      {searching && count === 0
        ? "Searching…"
        : count === 0
          ? "Nothing was found."
          : corrected
            ? "Nothing was found; this comes near."
            : `${plural(count, "result")}`}
    </p>
  );
}
