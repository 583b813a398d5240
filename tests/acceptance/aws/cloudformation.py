"""What CloudFormation makes of a template with parameters: conditions decided, and nothing more."""

from collections.abc import Iterator
from typing import Any

_GONE = object()
_PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "tailrace",
    "AWS::URLSuffix": "amazonaws.com",
}


class Template:
    """A template and a choice of its parameters.

    Parameters
    ----------
    source
        The template as JSON.
    parameters
        Those that differ from their defaults.
    """

    def __init__(self, source: dict[str, Any], **parameters: Any) -> None:
        self._source = source
        unknown = parameters.keys() - source["Parameters"].keys()
        assert not unknown, unknown
        self.parameters = _PSEUDO | {
            name: str(parameters.get(name, told.get("Default", "")))
            for name, told in source["Parameters"].items()
        }
        self.resources = {
            name: self._decided({k: v for k, v in resource.items() if k != "Condition"})
            for name, resource in source["Resources"].items()
            if self._is_there(resource)
        }
        self.outputs = {
            name: self._decided(output["Value"])
            for name, output in source["Outputs"].items()
            if self._is_there(output)
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type, by name."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def keeps_its_rules(self) -> bool:
        """Tell whether the parameters go together, by the template's own rules."""
        return all(
            self._holds(each["Assert"])
            for rule in self._source["Rules"].values()
            if self._holds(rule["RuleCondition"])
            for each in rule["Assertions"]
        )

    def _is_there(self, part: dict[str, Any]) -> bool:
        return "Condition" not in part or self._named(part["Condition"])

    def _named(self, condition: str) -> bool:
        return self._holds(self._source["Conditions"][condition])

    def _holds(self, condition: dict[str, Any]) -> bool:
        [(function, told)] = condition.items()
        if function == "Condition":
            return self._named(told)
        if function == "Fn::Equals":
            one, other = (self._decided(each) for each in told)
            return str(one) == str(other)
        found = [self._holds(each) for each in told]
        return {"Fn::And": all, "Fn::Or": any, "Fn::Not": lambda f: not f[0]}[function](found)

    def _decided(self, value: Any) -> Any:
        if isinstance(value, list):
            return [d for each in value if (d := self._decided(each)) is not _GONE]
        if not isinstance(value, dict):
            return value
        if value == {"Ref": "AWS::NoValue"}:
            return _GONE
        if value.keys() == {"Ref"} and value["Ref"] in self.parameters:
            return self.parameters[value["Ref"]]
        if value.keys() == {"Fn::If"}:
            condition, then, otherwise = value["Fn::If"]
            return self._decided(then if self._named(condition) else otherwise)
        return {k: d for k, each in value.items() if (d := self._decided(each)) is not _GONE}


def references(value: Any) -> Iterator[str]:
    """Return the names that a value refers to, parameters among them."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        if value.keys() == {"Ref"}:
            yield value["Ref"]
        elif value.keys() == {"Fn::GetAtt"}:
            told = value["Fn::GetAtt"]
            yield (told if isinstance(told, str) else told[0]).partition(".")[0]
        elif value.keys() == {"Fn::Sub"}:
            told = value["Fn::Sub"]
            text, variables = (told, {}) if isinstance(told, str) else told
            for piece in text.split("${")[1:]:
                name = piece.partition("}")[0].partition(".")[0]
                if name not in variables:
                    yield name
            yield from references(list(variables.values()))
        else:
            for each in value.values():
                yield from references(each)
