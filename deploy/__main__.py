"""``python -m deploy up STACK [PARAMETERS]`` and ``python -m deploy down STACK``."""

import argparse
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy import page
from deploy.stack import ROOT, Failed, Stack, fingerprint, read_parameters
from tailrace.http.page_headers import origins_of_bucket, page_policy

_PAGE = ROOT / "web" / "dist"
# Names of caches, which begin with it, end at 40.
_LONGEST_NAME = 34


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("up", help="deploy what was built, and the page")
    command.add_argument("stack")
    command.add_argument("parameters", nargs="?", type=Path, help="a TOML file")
    command = commands.add_parser("down", help="delete the stack, after a question")
    command.add_argument("stack")
    told = parser.parse_args(arguments)
    if len(told.stack) > _LONGEST_NAME:
        parser.error(f"the stack's name has more than {_LONGEST_NAME} characters")
    session = boto3.Session()
    try:
        account = session.client("sts").get_caller_identity()["Account"]
        print(f"Account {account}, region {session.region_name}, stack {told.stack}")
        stack = Stack(session.client("cloudformation"), told.stack)
        if told.command == "up":
            up(session.client("s3"), stack, told.parameters)
        else:
            down(session.client("s3"), stack)
    except (Failed, ClientError, BotoCoreError) as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 1
    return 0


def up(s3: Any, stack: Stack, parameters_file: Path | None) -> None:
    """Deploy the stack, tell it its own address, and upload the page."""
    parameters = read_parameters(parameters_file) if parameters_file else {}
    if parameters:
        # Functions read their secrets as they start, and a changed secret alone starts none.
        parameters.setdefault("Restart", fingerprint(parameters, stack.name))
    stack.deploy(parameters)
    address = stack.outputs.get("Address")
    # CloudFront chooses it when it is made, after the functions behind it: they learn it the second
    # time, for the links in mails and for what a browser may send from where.
    told = stack.parameters
    known = f"https://{told['DomainName']}" if told.get("DomainName") else told.get("PublicUrl", "")
    if address and address != known and (not known or known.endswith(".cloudfront.net")):
        print(f"The functions learn their address, {address}")
        stack.deploy({**parameters, "PublicUrl": address})
    outputs = stack.outputs
    policy = page_policy(origins_of_bucket(outputs["AttachmentsBucket"], s3.meta.region_name))
    files = page.upload(s3, outputs["PageBucket"], _PAGE, policy)
    print(f"Uploaded the page, {files} files")
    if address:
        print(f"\n  {address}\n")
    else:
        for name in ("ChatUrl", "ApiUrl"):
            print(f"  {name}: {outputs[name]}")


def down(s3: Any, stack: Stack) -> None:
    """Delete the stack, if its name is given as the answer to a question."""
    outputs = stack.outputs
    if stack.status is None:
        raise Failed(f"There is no stack {stack.name} here.")
    print("Its database goes into a last snapshot; the files of messages stay in their bucket.")
    try:
        answer = input(f"To delete it, type its name ({stack.name}): ")
    except EOFError:
        answer = ""
    if answer.strip() != stack.name:
        raise Failed("Nothing was deleted.")
    if "PageBucket" in outputs:
        page.empty(s3, outputs["PageBucket"])
    stack.delete()
    print(f"Deleted {stack.name}. What stays, and costs its storage:")
    print(f"  the bucket {outputs.get('AttachmentsBucket')} with files of messages")
    if "ArchiveBucket" in outputs:
        print(f"  the bucket {outputs['ArchiveBucket']} with archived days of calls")
    print("  the last snapshot of a database that the stack had made")


if __name__ == "__main__":
    sys.exit(main())
