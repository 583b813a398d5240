"""The bills as Markdown: what docs/deploy.md holds."""

import math
from collections.abc import Iterable, Sequence

from bench.cost.bill import (
    HOURS,
    MONTH,
    PRICES,
    WORKLOAD,
    Bill,
    Compute,
    Load,
    database_class,
)
from bench.cost.stack import Stack

#: Chats a month.
LOADS = (0, 1_000, 100_000, 10_000_000)

_DEFAULT = Stack()
_RDS = Stack(Database="rds")

#: What is compared: its name, its stack, and what runs the code.
CONFIGURATIONS: tuple[tuple[str, Stack, Compute], ...] = (
    ("Aurora (default)", _DEFAULT, "functions"),
    ("RDS", _RDS, "functions"),
    ("`Network=public`", Stack(Network="public"), "functions"),
    ("container, RDS", _RDS, "container"),
)

#: Parameters that add to the default's bill.
OPTIONS = (
    ("Nat", "true"),
    ("Queue", "sqs"),
    ("Front", "apigateway"),
    ("WebAclArn", "create"),
    ("ChatStart", "snapstart"),
    ("ChatProvisioned", "1"),
)


def everything() -> str:
    """Return all tables, with what they rest on."""
    parts = [assumptions(), bills(LOADS), crossovers(), lines(LOADS), needs(LOADS), options(LOADS)]
    return "\n\n".join(parts)


def bills(loads: Sequence[int]) -> str:
    """Return what each configuration costs."""
    rows = [
        [name, *(_dollars(Bill(stack, Load(chats), compute).total) for chats in loads)]
        for name, stack, compute in CONFIGURATIONS
    ]
    return _table(["USD a month", *_loads(loads)], rows)


def lines(loads: Sequence[int]) -> str:
    """Return what the default's bill consists of."""
    columns = [Bill(_DEFAULT, Load(chats)).lines for chats in loads]
    rows = [[line, *(_dollars(column[line]) for column in columns)] for line in columns[0]]
    return _table(["Of the default", *_loads(loads)], rows)


def needs(loads: Sequence[int]) -> str:
    """Return what each load takes, beside what the template allows."""
    units = _DEFAULT.parameters["DatabaseMaxCapacity"]
    (instance,) = _RDS.of_type("AWS::RDS::DBInstance").values()
    smallest = instance["DBInstanceClass"]
    found = [Load(chats) for chats in loads]
    rows = [
        [
            "answers at the same time, at the peak",
            *(f"{math.ceil(f.answers_at_peak):,}" for f in found),
        ],
        [f"units of Aurora at the peak, of {units}", *(f"{_units(f):.1f}" for f in found)],
        [f"GB in PostgreSQL, of RDS's {instance['MaxAllocatedStorage']}"]
        + [f"{f.database_gb:,.1f}" for f in found],
        ["class of RDS", *(f"`{database_class(f, smallest)}`" for f in found)],
        ["tasks of a container", *(f"{f.tasks}" for f in found)],
    ]
    return _table(["Takes", *_loads(loads)], rows)


def options(loads: Sequence[int]) -> str:
    """Return what a parameter adds to the default's bill."""
    plain = [Bill(_DEFAULT, Load(chats)).total for chats in loads]
    rows = []
    for name, value in OPTIONS:
        stack = Stack(**{name: value})
        totals = [Bill(stack, Load(chats)).total for chats in loads]
        more = [_dollars(total - base) for total, base in zip(totals, plain, strict=True)]
        rows.append([f"`{name}={value}`", *more])
    return _table(["Adds", *_loads(loads)], rows)


def crossovers() -> str:
    """Return up to how many chats Aurora costs less than RDS, and functions than a container."""
    aurora = _crossing((_DEFAULT, "functions"), (_RDS, "functions"))
    functions = _crossing((_RDS, "functions"), (_RDS, "container"))
    at_once = Load(functions).answers_at_peak / WORKLOAD.peak
    return (
        f"Up to about {aurora:,} chats a month Aurora is cheaper than RDS, and up to about"
        f" {functions:,} functions\nare cheaper than the container with the same RDS and Valkey"
        f" behind it: {at_once:.1f} answers at the same time\non average."
    )


def assumptions() -> str:
    """Return what a chat is taken to be."""
    w = WORKLOAD
    return (
        f"A chat is {w.turns} questions, each answered with {w.answer_tokens} tokens in"
        f" {w.answer_seconds} seconds, and {w.api_requests} other\nrequests. The busiest hour has"
        f" {w.peak} times the average; the bill is that of the month after which\n{w.months_kept}"
        f" months of such chats are kept. Prices are those of {PRICES['region']} for {HOURS} hours,"
        f" without free\ntiers, discounts, taxes and what the models cost."
    )


def _crossing(one: tuple[Stack, Compute], other: tuple[Stack, Compute]) -> int:
    """Return, in two digits, the first load at which `one` no longer costs less than `other`."""
    (stack, compute), (beside, by) = one, other
    # There may be others: some prices rise in steps.
    for chats in (digits * 10**zeros for zeros in range(6) for digits in range(10, 100)):
        load = Load(chats)
        if Bill(stack, load, compute).total >= Bill(beside, load, by).total:
            return chats
    raise ValueError("they do not cross")


def _units(load: Load) -> float:
    peak = load.database_seconds / MONTH * WORKLOAD.peak / WORKLOAD.utilisation
    return max(0.5, peak * WORKLOAD.units_a_processor)


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}" if abs(amount) < 100 else f"{amount:,.0f}"


def _loads(loads: Iterable[int]) -> list[str]:
    return [f"{chats:,} chats" if chats else "idle" for chats in loads]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
