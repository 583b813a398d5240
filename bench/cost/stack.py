"""template.yaml as a deployment sees it: the resources that its parameters make."""

import re
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}


class _Loader(yaml.SafeLoader):
    """Reads ``!Ref x`` as ``{"Ref": x}`` and ``!If […]`` as ``{"Fn::If": […]}``."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise yaml.constructor.ConstructorError(problem=f"!{suffix} of a mapping")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)
# A class of safe ones.
_TEMPLATE = yaml.load(TEMPLATE.read_text(), _Loader)


def types() -> set[str]:
    """Return the types of all resources, whatever the parameters."""
    return {resource["Type"] for resource in _TEMPLATE["Resources"].values()}


class Stack:
    """What is deployed with `parameters` in place of the template's defaults.

    Attributes
    ----------
    parameters
        Of the template, by name.
    environment
        The variables of every function.

    Raises
    ------
    ValueError
        When the template has no such parameter.
    """

    def __init__(self, **parameters: str) -> None:
        known = _TEMPLATE["Parameters"]
        if unknown := parameters.keys() - known.keys():
            raise ValueError(f"template.yaml has no parameter {', '.join(sorted(unknown))}")
        self.parameters = {name: str(told.get("Default", "")) for name, told in known.items()}
        self.parameters |= parameters
        self._resources = {
            name: resource
            for name, resource in _TEMPLATE["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }
        common = _TEMPLATE["Globals"]["Function"]
        self.environment: dict[str, Any] = self._resolved(common["Environment"]["Variables"])

    def of_type(self, type: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of a type, by their names."""
        found = self._resources.items()
        return {name: self._resolved(r["Properties"]) for name, r in found if r["Type"] == type}

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        """The properties of each function, with those of all."""
        common = self._resolved(_TEMPLATE["Globals"]["Function"])
        own = self.of_type("AWS::Serverless::Function")
        return {name: common | properties for name, properties in own.items()}

    @property
    def period(self) -> int:
        """Seconds between two scheduled runs.

        Raises
        ------
        ValueError
            When Schedule is no rate.
        """
        rate = _RATE.fullmatch(self.parameters["Schedule"])
        if rate is None:
            raise ValueError(f"Schedule is no rate: {self.parameters['Schedule']}")
        return int(rate[1]) * _SECONDS[rate[2]]

    def _holds(self, condition: str) -> bool:
        return bool(self._resolved(_TEMPLATE["Conditions"][condition]))

    def _resolved(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._resolved(each) for each in node]
        if not isinstance(node, dict):
            return node
        if len(node) > 1 or not node:
            return {key: self._resolved(value) for key, value in node.items()}
        ((key, value),) = node.items()
        match key, value:
            case "Ref", str() if value in self.parameters:
                return self.parameters[value]
            case "Condition", str():
                return self._holds(value)
            case "Fn::If", [condition, then, otherwise]:
                return self._resolved(then if self._holds(condition) else otherwise)
            case "Fn::Equals", [one, other]:
                return str(self._resolved(one)) == str(self._resolved(other))
            case "Fn::Not", [negated]:
                return not self._resolved(negated)
            case "Fn::And", [*parts]:
                return all(self._resolved(part) for part in parts)
            case "Fn::Or", [*parts]:
                return any(self._resolved(part) for part in parts)
        return {key: self._resolved(value)}
