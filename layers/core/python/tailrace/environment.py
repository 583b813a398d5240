"""Where settings come from: the environment, what one variable adds, and secrets named by ARN.

Called by `tailrace.settings` alone, which says what settings there are. What is wrong is told
without the value, since it may be a secret.
"""

import json
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings import SettingsError as SourceError

#: What the name of every variable begins with.
PREFIX = "TAILRACE_"
# Settings in one variable, where there is no room for each.
_ADDED = f"{PREFIX}SETTINGS"


class SettingsError(Exception):
    """The settings cannot be used; the text is one line fit for a terminal."""


class Environment(EnvSettingsSource):
    """The environment, what ``TAILRACE_SETTINGS`` adds, and the secrets that it names by ARN."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        variables = super()._load_env_vars()
        variables = {**self._added(variables.get(_ADDED.lower())), **variables}
        arns = {
            name: value
            for name, value in variables.items()
            if value and value.startswith("arn:") and name.upper().startswith(PREFIX)
        }
        if not arns:
            return variables
        from tailrace import secret_store

        try:
            values = secret_store.read(arns.values())
        except secret_store.SecretError as error:
            name = next(name for name, arn in arns.items() if arn.startswith(error.arn))
            raise SettingsError(f"{name.upper()}: {error}") from None
        return {**variables, **{name: values[arn] for name, arn in arns.items()}}

    def _added(self, text: str | None) -> dict[str, str]:
        """Return the variables that a JSON object of settings by name stands for."""
        try:
            added = json.loads(text or "{}")
            unknown = added.keys() - self.settings_cls.model_fields.keys()
        except (ValueError, AttributeError):
            raise SettingsError(f"{_ADDED}: not a JSON object") from None
        if unknown:
            raise SettingsError(f"{_ADDED}: there is no setting {min(unknown)!r:.80}")
        return {
            f"{PREFIX}{name}".lower(): value if isinstance(value, str) else json.dumps(value)
            for name, value in added.items()
            if value is not None
        }


def one_line(error: ValidationError) -> str:
    """Return the first setting at fault, what is allowed, and the shape of what it holds."""
    first = error.errors(include_url=False, include_input=True)[0]
    name = f"{PREFIX}{str(first['loc'][0]).upper()}" if first["loc"] else f"{PREFIX}*"
    path = ".".join(str(part) for part in first["loc"][1:])
    where = f"{name} ({path})" if path else name
    if first["type"] == "missing":
        return f"{where}: is required and not set"
    return f"{where}: {first['msg']} (got {_shape(first['input'])})"


def _shape(value: object) -> str:
    """Describe a value without showing it."""
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    return type(value).__name__


def field_of(error: SourceError) -> str:
    """Return the variable that an error of pydantic-settings is about."""
    # pydantic-settings names the field only in its sentence: 'error parsing value for field "x"'.
    name = str(error).partition('"')[2].partition('"')[0]
    return f"{PREFIX}{name.upper()}"
