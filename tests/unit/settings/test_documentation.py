"""docs/settings.md names every setting, with its default."""

import json
import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from tailrace.alerts.rules import RuleFields
from tailrace.settings import ProviderSettings, Settings

PAGE = (Path(__file__).parents[3] / "docs/settings.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| ([^|]*) \|", re.MULTILINE)


def test_every_setting_is_documented_with_its_default() -> None:
    rows = dict(ROW.findall(PAGE))
    names = {f"TAILRACE_{name.upper()}": field for name, field in Settings.model_fields.items()}
    names |= ProviderSettings.model_fields | RuleFields.model_fields

    assert set(rows) == set(names)
    for name, field in names.items():
        told = rows[name].strip()
        if field.default is PydanticUndefined:
            assert told == "required", name
        elif told.startswith("`"):
            assert json.loads(told.strip("`")) == json.loads(json.dumps(field.default)), name
        else:
            assert field.default is None, name
