"""What docs/deploy.md says an installation costs is what prices, template and workload come to."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cost import __main__ as command
from bench.cost import tables
from bench.cost.bill import MONTH, MOST_CHATS, PRICES, WORKLOAD, Bill, Load, database_class
from bench.cost.stack import Stack, types

ROOT = Path(__file__).parents[3]
CONFIGURATIONS = tables.CONFIGURATIONS + tuple(
    (f"{name}={value}", Stack(**{name: value}), "functions") for name, value in tables.OPTIONS
)
TABLES = {"region", "resources", "free"}
BENCHMARKS = (ROOT / "bench/RESULTS.md").read_text()


def usd(price: str) -> float:
    return PRICES[price]["usd"]


def test_the_page_holds_what_the_script_prints() -> None:
    held = command.held(command.PAGE.read_text())

    assert held == tables.everything(), "python -m bench.cost --write"


def test_every_type_of_resource_has_a_price_or_is_free() -> None:
    priced, free = set(PRICES["resources"]), set(PRICES["free"])

    assert not priced & free
    assert priced | free == types()


def test_every_price_tells_where_it_is_from_and_is_used() -> None:
    prices = {name: told for name, told in PRICES.items() if name not in TABLES}
    used = {name for _, stack, by in CONFIGURATIONS for name in Bill(stack, Load(10), by).used}

    assert used == set(prices)
    assert {name for names in PRICES["resources"].values() for name in names} <= used
    classes = prices.pop("rds_hour")
    for told in [*prices.values(), *classes.values()]:
        assert told["usd"] > 0
        assert told["unit"]
        assert "Pricing" in told["page"]
        assert re.fullmatch(r"20\d\d(-\d\d)?|undated|unconfirmed", told["seen"])


def test_what_is_measured_names_its_table() -> None:
    workload = tomllib.loads((ROOT / "bench/cost/workload.toml").read_text())

    for told in workload.values():
        assert told["value"] > 0
        assert told["unit"]
        assert "measured" not in told or f"\n## {told['measured']}" in BENCHMARKS


@pytest.mark.parametrize(("stack", "compute"), [told[1:] for told in CONFIGURATIONS])
def test_the_first_chat_is_paid_for_like_any_other(stack: Stack, compute: str) -> None:
    def lines(chats: int) -> dict[str, float]:
        return Bill(stack, Load(chats), compute).lines

    idle, first = lines(0), lines(1)
    before, after = lines(100_000), lines(100_001)

    for line in first:
        # What is bought in steps, as tasks and instances are, is not told by one chat.
        if line not in ("Container", "PostgreSQL", "Secrets"):
            assert first[line] - idle[line] >= (after[line] - before[line]) * 0.99, line
    assert first["Front"] > 0


def test_what_stands_idle_is_paid_for_in_full() -> None:
    stack = Stack(Database="rds")
    lines = Bill(stack, Load(0)).lines
    alarms = stack.of_type("AWS::CloudWatch::Alarm")

    assert lines["Secrets"] > 3 * usd("secret_month")
    assert lines["Metrics, alarms, logs"] > len(alarms) * usd("alarm_month") + usd(
        "dashboard_month"
    )
    assert lines["Valkey"] > 0.1 * 730 * usd("valkey_gb_hour")
    # One instance each of ingestion and maintenance, called every minute.
    runs, starts = 2 * 730 * 60, 2 * MONTH / WORKLOAD.instance_seconds
    seconds = runs * WORKLOAD.run_seconds + starts * WORKLOAD.other_init_seconds
    called = runs * (usd("lambda_request") + usd("scheduler_invocation"))
    assert lines["Functions"] == pytest.approx(called + seconds * 0.5 * usd("lambda_gb_second"))


def test_a_million_chats_are_mostly_the_waiting_of_their_functions() -> None:
    lines = Bill(Stack(Network="public"), Load(1_000_000)).lines

    waiting = 1_000_000 * 4 * 10 * usd("lambda_gb_second")
    assert waiting < lines["Functions"] < 1.1 * waiting
    assert {"PostgreSQL", "Valkey"}.isdisjoint(lines)


@settings(deadline=None)
@given(
    st.sampled_from(CONFIGURATIONS),
    st.lists(st.integers(0, MOST_CHATS), min_size=2, max_size=2).map(sorted),
)
def test_more_chats_cost_no_less(configuration, loads: list[int]) -> None:
    _, stack, compute = configuration
    fewer, more = (Bill(stack, Load(chats), compute).lines for chats in loads)

    for line, dollars in more.items():
        assert dollars >= fewer[line] - 1e-9, line


def test_aurora_sleeps_only_where_schedules_let_it() -> None:
    awake = 0.5 * 730 * usd("aurora_acu_hour")
    resting, working = Stack(), Stack()
    resting.environment["TAILRACE_DATABASE_SLEEPS"] = "true"
    working.environment["TAILRACE_DATABASE_SLEEPS"] = "false"

    assert Bill(resting, Load(0)).lines["PostgreSQL"] < 0.1 * awake
    assert Bill(working, Load(0)).lines["PostgreSQL"] > awake
    assert Bill(resting, Load(0), "container").lines["PostgreSQL"] > awake
    # Somebody is always there.
    assert Bill(resting, Load(50_000)).lines["PostgreSQL"] > awake


def test_a_database_grows_with_its_load() -> None:
    assert database_class(Load(0), "db.t4g.micro") == "db.t4g.micro"
    assert database_class(Load(0), "db.t4g.small") == "db.t4g.small"
    assert database_class(Load(10_000_000), "db.t4g.micro") == "db.m7g.large"
    assert database_class(Load(MOST_CHATS), "db.t4g.micro") == "db.m7g.xlarge"


def test_what_is_cheaper_changes_where_the_page_says() -> None:
    told = re.findall(r"about ([\d,]+)", tables.crossovers())
    of_databases, of_computing = (int(number.replace(",", "")) for number in told)
    rds = Stack(Database="rds")

    for load, is_cheaper in ((Load(of_databases * 0.9), True), (Load(of_databases * 1.1), False)):
        assert (Bill(Stack(), load).total < Bill(rds, load).total) is is_cheaper
    for load, is_cheaper in ((Load(of_computing * 0.9), True), (Load(of_computing * 1.1), False)):
        assert (Bill(rds, load).total < Bill(rds, load, "container").total) is is_cheaper


@pytest.mark.parametrize(
    "arguments",
    [
        ["--chats", "many"],
        ["--chats", "-1"],
        ["--chats", "1.5"],
        ["--chats", str(MOST_CHATS + 1)],
        ["--chats", "9" * 5000],
        ["--chats"],
        ["--chats", "1", "--write"],
        ["--region", "eu-central-1"],
    ],
)
def test_bad_input_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    assert told.err.count("\n") == 1


def test_it_prints_what_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--chats", "0", "5000"]) == 0

    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| USD a month | idle | 5,000 chats |"
    assert len(rows) == len(tables.CONFIGURATIONS)


def test_it_writes_where_the_page_says(tmp_path, monkeypatch, capsys) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(command, "PAGE", page)
    begin, end = "<!-- python -m bench.cost --write -->\n", "\n<!-- until here -->"
    page.write_text(f"before\n{begin}old{end}\nafter\n")

    assert command.main(["--write"]) == 0
    assert page.read_text() == f"before\n{begin}{tables.everything()}{end}\nafter\n"

    page.write_text("nothing of the kind\n")
    with pytest.raises(SystemExit) as ended:
        command.main(["--write"])
    assert ended.value.code == 2
    assert page.read_text() == "nothing of the kind\n"
    assert capsys.readouterr().err.count("\n") == 1


def test_a_stack_takes_only_what_the_template_has() -> None:
    with pytest.raises(ValueError, match="Databse"):
        Stack(Databse="rds")
    with pytest.raises(ValueError, match="cron"):
        Bill(Stack(Schedule="cron(0 8 * * ? *)"), Load(0))
    with pytest.raises(ValueError, match="0 to"):
        Load(MOST_CHATS + 1)
