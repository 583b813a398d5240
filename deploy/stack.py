"""The stack of `template.yaml` in an account: made, changed and deleted."""

import hashlib
import json
import os
import subprocess
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError, WaiterError

ROOT = Path(__file__).parents[1]
_SAM = ROOT / ".venv-sam" / "bin" / "sam"
_BUILT = ROOT / ".aws-sam" / "build"
# SAM looks for it beside the template.
_CONFIG = ROOT / "samconfig.toml"


class Failed(Exception):
    """It did not work; the text is fit for a terminal."""


class Stack:
    """A stack by its name.

    Parameters
    ----------
    cloudformation
        A client of boto3, of the account and region meant.
    built
        Folder that ``sam build`` filled.
    """

    def __init__(self, cloudformation: Any, name: str, built: Path = _BUILT) -> None:
        self._cloudformation = cloudformation
        self._template = built / "template.yaml"
        self.name = name

    @property
    def status(self) -> str | None:
        """Return CloudFormation's word for its state, ``None`` where there is no such stack."""
        told = self._described()
        return told["StackStatus"] if told else None

    @property
    def parameters(self) -> dict[str, str]:
        """Return what it was made with; secrets are masked."""
        told = self._described() or {}
        return {each["ParameterKey"]: each["ParameterValue"] for each in told.get("Parameters", [])}

    @property
    def outputs(self) -> dict[str, str]:
        """Return what it tells of itself."""
        told = self._described() or {}
        return {each["OutputKey"]: each["OutputValue"] for each in told.get("Outputs", [])}

    def deploy(self, parameters: dict[str, str]) -> None:
        """Make or change it from what was built; what is not given stays as it is.

        Raises
        ------
        Failed
            When it could not be; SAM has then told why.
        """
        if self.status == "ROLLBACK_COMPLETE":
            # Its making failed. There is nothing in it, and it cannot be changed.
            self.delete()
        # In a file: whoever lists the processes of this machine is to see no secret.
        with TemporaryDirectory() as folder:
            file = Path(folder) / "parameters.yaml"
            file.touch(mode=0o600)
            # JSON is YAML.
            file.write_text(json.dumps(parameters))
            command = [_SAM, "deploy", "--stack-name", self.name]
            command += ["--template-file", self._template, "--config-file", _CONFIG]
            if parameters:
                command += ["--parameter-overrides", f"file://{file}"]
            environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
            if subprocess.run(command, cwd=ROOT, env=environment).returncode != 0:
                raise Failed("Nothing was changed. What failed first is told above.")

    def delete(self) -> None:
        """Delete it and wait until it is gone.

        Raises
        ------
        Failed
            When something of it could not be deleted.
        """
        self._cloudformation.delete_stack(StackName=self.name)
        try:
            # A distribution and the interfaces of functions take their time.
            self._cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=self.name, WaiterConfig={"Delay": 10, "MaxAttempts": 360}
            )
        except WaiterError:
            raise Failed(
                f"{self.name} could not be deleted: {'; '.join(self._reasons())}"
            ) from None

    def _described(self) -> dict[str, Any] | None:
        try:
            return self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def _reasons(self) -> list[str]:
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', 'no reason told')}"
            for each in events
            if each["ResourceStatus"] == "DELETE_FAILED"
        ]


def read_parameters(file: Path) -> dict[str, str]:
    """Return the parameters of a TOML file; tables and lists become the JSON that they stand for.

    Raises
    ------
    Failed
        When it is no TOML.
    """
    try:
        told = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Failed(f"{file}: {error}") from None
    return {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()
    }


def fingerprint(parameters: dict[str, str], stack_name: str) -> str:
    """Return a text that is another one for other parameters, and tells nothing of them.

    Whoever may describe the stack sees it, so guessing a secret from it is made slow.
    """
    told = json.dumps(parameters, sort_keys=True).encode()
    return hashlib.scrypt(told, salt=stack_name.encode(), n=1 << 14, r=8, p=1, dklen=8).hex()
