"""What the documentation names exists: alarms, commands, targets, settings, parameters, places."""

import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tailrace.__main__ import _COMMANDS
from tailrace.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPERATIONS = (ROOT / "docs/operations.md").read_text()

# Read by `make up`, or by the settings' own reader, rather than being a setting.
NO_SETTINGS = {"TAILRACE_PORT", "TAILRACE_DATA_DIR", "TAILRACE_SETTINGS"}


class _Loader(yaml.SafeLoader):
    """Reads a template without what its tags stand for."""


def _told(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node)


_Loader.add_multi_constructor("!", _told)
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
ALARMS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] in ("AWS::CloudWatch::Alarm", "AWS::Budgets::Budget")
}


def code(page: Path) -> str:
    """What stands in a page as code, in lines or within them."""
    text = page.read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^ *```\w*\n.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`]+)`", rest)])


def anchors(page: Path) -> set[str]:
    """The places in a page that a link may name, by GitHub's rules."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def commands(parser: ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the command line, word by word."""
    groups = [each for each in parser._actions if isinstance(each, _SubParsersAction)]
    for name, inner in [choice for group in groups for choice in group.choices.items()]:
        yield (*words, name)
        yield from commands(inner, (*words, name))


def test_there_are_alarms():
    assert len(ALARMS) >= 16


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_has_its_entry_in_the_runbook(name):
    match = re.search(rf"^### {name}\n(.*?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert match, f"docs/operations.md has no entry for {name}"
    for part in ("**People**", "**Look**", "**Over**"):
        assert part in match[1], f"{name} does not tell {part}"
    assert "**Do**" in match[1] or "**do**" in match[1]


@pytest.mark.parametrize(
    "name", [name for name, alarm in ALARMS.items() if "AlarmActions" in alarm]
)
def test_every_alarm_says_where_its_entry_is(name):
    place = ALARMS[name]["AlarmDescription"].split()[-1]
    assert place == f"docs/operations.md#{name.lower()}"


def test_every_entry_has_its_alarm():
    section = OPERATIONS.partition("## Alarms of the stack\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^### (\w+)$", section, re.MULTILINE)) == ALARMS.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_targets_and_settings_exist(page):
    text = code(page)

    parser = ArgumentParser()
    subparsers = parser.add_subparsers()
    for group in _COMMANDS:
        group.add(subparsers)
    known = set(commands(parser))
    for name, inner in re.findall(
        r"(?:^|[/ ])tailrace ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?", text, re.MULTILINE
    ):
        assert (name,) in known, f"tailrace {name}"
        if any(len(words) > 1 and words[0] == name for words in known):
            assert not inner or (name, inner) in known, f"tailrace {name} {inner}"

    makefiles = (ROOT / "Makefile").read_text() + (ROOT / "build.mk").read_text()
    targets = set(re.findall(r"^([a-z][\w-]*):", makefiles, re.MULTILINE))
    assert set(re.findall(r"(?:^|[; ])make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets

    settings = {f"TAILRACE_{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    # Some rows tell of several by what they begin with: `TAILRACE_MINUTE_`.
    for name in set(re.findall(r"\bTAILRACE_[A-Z0-9_]+\b", text)):
        whole = not name.endswith("_")
        assert name in settings or (not whole and any(s.startswith(name) for s in settings)), name


def test_resources_that_the_runbook_names_exist():
    named = set(re.findall(r"physical (\w+)", OPERATIONS))
    # What the function is explained with, and what a loop fills in.
    assert named - TEMPLATE["Resources"].keys() == set()
    for name in ("Chat", "Api", "Ingest", "Maintain"):
        assert {f"{name}Function", f"{name}Logs"} <= TEMPLATE["Resources"].keys()
    assert set(re.findall(r"trouble (\w+)", code(ROOT / "docs/operations.md"))) <= {
        *("Chat", "Api", "Ingest", "Maintain")
    }


def test_every_parameter_is_told():
    table = (
        (ROOT / "docs/deploy.md").read_text().partition("## Parameters\n")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    # In the row of `Database`.
    assert TEMPLATE["Parameters"].keys() - told == {"DatabaseClass", "DatabaseMaxCapacity"}
    assert told <= TEMPLATE["Parameters"].keys()


def test_the_drawing_shows_every_function():
    drawing = (ROOT / "docs/architecture.md").read_text().partition("```mermaid\n")[2]
    functions = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    drawn = re.findall(r'\["(\w+) function', drawing.partition("```")[0])
    assert {f"{name.capitalize()}Function" for name in drawn} == functions


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target
