"""``python -m localstack.emulated deploy|serve``: the stack in an emulator (``AWS_ENDPOINT_URL``).

Deploys what was built for the emulator's machine with what `deploy` uses on AWS. The functions use
the PostgreSQL and Valkey of ``TAILRACE_DATABASE_URL`` and ``TAILRACE_REDIS_URL``, as the emulator
reaches them. A start that cannot be is one line on standard error and exit code 2.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import boto3
import uvicorn
from botocore.exceptions import BotoCoreError, ClientError

from deploy.stack import ROOT, Failed, Stack, read_parameters
from localstack.emulated import front

_BUILT = ROOT / ".aws-sam" / "emulated"
_PAGE = ROOT / "web" / "dist"
_PARAMETERS = ROOT / "localstack" / "stack.toml"
# What template.yaml calls the version that takes traffic.
_ALIAS = "live"

# What speaks to an emulator, where the environment does not say otherwise.
_ENVIRONMENT = {
    "AWS_ENDPOINT_URL": "http://localhost:4566",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    # Emulators answer at once; SAM would ask every five seconds.
    "SAM_CLI_POLL_DELAY": "0.5",
}

# Parameters of the stack, and the variables that set them.
_GIVEN = {
    "DatabaseUrl": "TAILRACE_DATABASE_URL",
    "RedisUrl": "TAILRACE_REDIS_URL",
    "Providers": "TAILRACE_PROVIDERS",
    "DefaultModel": "TAILRACE_DEFAULT_MODEL",
    "PublicUrl": "TAILRACE_PUBLIC_URL",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m localstack.emulated")
    parser.add_argument("--stack", default="tailrace", help="its name (default: tailrace)")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("deploy", help="make or change the stack")
    command.add_argument("parameters", nargs="?", type=Path, help="a TOML file with others")
    command = commands.add_parser("serve", help="serve the page, and the functions behind it")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8787)
    told = parser.parse_args(arguments)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        if told.command == "deploy":
            deploy(told.stack, told.parameters)
        else:
            serve(told.stack, told.host, told.port)
    except (Failed, ClientError, BotoCoreError) as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 2
    return 0


def deploy(name: str, others: Path | None = None) -> None:
    """Make or change the stack, and let the chat's URL hand out whole answers.

    Raises
    ------
    Failed
        When it could not be.
    """
    parameters = _parameters(os.environ, others)
    cloudformation = boto3.client("cloudformation")
    Stack(cloudformation, name, _BUILT).deploy(parameters)
    # Emulators pass no stream on: asked for one, they would hand out the answer in its envelope.
    told = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="ChatFunction")
    boto3.client("lambda").update_function_url_config(
        FunctionName=told["StackResourceDetail"]["PhysicalResourceId"],
        Qualifier=_ALIAS,
        InvokeMode="BUFFERED",
    )
    print(f"Deployed {name} to {os.environ['AWS_ENDPOINT_URL']}")


def serve(name: str, host: str, port: int) -> None:
    """Serve the page and what it calls until Ctrl-C.

    Raises
    ------
    Failed
        When there is no such stack.
    """
    outputs = Stack(boto3.client("cloudformation"), name, _BUILT).outputs
    if not outputs:
        raise Failed(f"There is no stack {name} at {os.environ['AWS_ENDPOINT_URL']}.")
    app = front.create_app(
        os.environ["AWS_ENDPOINT_URL"],
        {"chat": outputs["ChatUrl"], "api": outputs["ApiUrl"]},
        _PAGE,
    )
    print(f"Tailrace is up: http://localhost:{port}", flush=True)
    uvicorn.run(app, host=host, port=port, log_level="warning", proxy_headers=False)


def _parameters(environment: Mapping[str, str], others: Path | None) -> dict[str, str]:
    for name in ("TAILRACE_DATABASE_URL", "TAILRACE_REDIS_URL"):
        if not environment.get(name):
            raise Failed(f"{name} is not set: what the functions use, as the emulator reaches it")
    given = {name: value for name, each in _GIVEN.items() if (value := environment.get(each))}
    return read_parameters(_PARAMETERS) | given | (read_parameters(others) if others else {})


if __name__ == "__main__":
    sys.exit(main())
