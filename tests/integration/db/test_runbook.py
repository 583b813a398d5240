"""The statements of docs/operations.md, as an operator pastes them."""

import re
from pathlib import Path

import pytest

from tailrace.services import Services
from tests.support.events import rows

PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text()
BLOCKS = re.findall(r"^ *```sql\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"[`'](SELECT count[^`']*|DELETE FROM [^`']*)[`']", PAGE)


@pytest.mark.parametrize("statement", [*BLOCKS, *INLINE])
async def test_a_statement_of_the_runbook_fits_the_schema(
    services: Services, statement: str
) -> None:
    if statement.startswith("DELETE"):
        statement += " RETURNING *"
    await rows(services, statement)


def test_there_are_statements():
    assert len(BLOCKS) >= 3
    assert len(INLINE) >= 2
