"""template.yaml as SAM sees it: valid, and built for Lambda's platform on this machine."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.aws.function import ROOT

FUNCTIONS = ("ApiFunction", "ChatFunction", "IngestFunction", "MaintainFunction", "MigrateFunction")

# A size or a time of a function.
CHOSEN = re.compile(r"      (MemorySize|Timeout): ")

# Bytes of a package, unpacked: what is fetched at a cold start. Lambda itself would take 250 MiB of
# a function and its layers together.
PACKAGE_LIMIT = 120 << 20


@pytest.fixture(scope="module")
def sam(sam_environment: Path, tmp_path_factory: pytest.TempPathFactory):
    """Runs a `sam` command that keeps to itself and this machine."""
    folder = tmp_path_factory.mktemp("sam")
    # It would look for a newer version of itself once a week.
    metadata = {"lastVersionCheck": time.time(), "telemetryEnabled": False}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    environment = {
        **os.environ,
        "__SAM_CLI_APP_DIR": str(folder),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sam_environment / "bin" / "sam", *arguments],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="module")
def built(sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything in template.yaml, as `sam build` packs it for Lambda."""
    folder = tmp_path_factory.mktemp("build")
    sam("build", "--build-dir", str(folder))
    return folder


def test_the_template_is_valid(sam):
    assert "is a valid SAM Template" in sam("validate", "--lint")


def test_every_function_has_its_handler(built):
    for name in FUNCTIONS:
        assert (built / name / "handler.py").is_file()


def test_the_layers_have_what_lambda_looks_for(built):
    wrapper = built / "RuntimeLayer" / "tailrace-runtime"
    assert os.access(wrapper, os.X_OK)
    assert (built / "RuntimeLayer/python/tailrace_runtime/__main__.py").is_file()
    core = built / "CoreLayer" / "python"
    assert (core / "tailrace/db/migrations").is_dir()
    assert {"aiohttp", "msgspec", "psycopg", "redis", "starlette"} <= names(core)


def test_binaries_are_for_arm64_and_the_functions_python(built):
    binaries = list(built.rglob("*.cpython-*.so"))
    assert len(binaries) > 10
    for binary in binaries:
        assert binary.name.endswith(".cpython-313-aarch64-linux-gnu.so")


def test_functions_bring_what_the_core_layer_lacks_and_no_more(built):
    core = names(built / "CoreLayer" / "python")
    sdks = {"anthropic", "boto3", "google"}
    assert {"fastapi", "mangum", "pwdlib", "genai_prices"} | sdks <= names(built / "ApiFunction")
    assert sdks <= names(built / "ChatFunction")
    assert "genai_prices" in names(built / "IngestFunction")
    # It may drain SQS.
    assert names(built / "IngestFunction") & sdks == {"boto3"}
    measured = [name for name in FUNCTIONS if "aws_lambda_powertools" in names(built / name)]
    assert set(FUNCTIONS) - set(measured) == {"ChatFunction"}
    # It sends mail through Amazon SES.
    assert names(built / "MaintainFunction") & (sdks | {"fastapi", "genai_prices"}) == {"boto3"}
    # It archives.
    assert [name for name in FUNCTIONS if "pyarrow" in names(built / name)] == ["MaintainFunction"]
    for name in FUNCTIONS:
        assert not names(built / name) & core - {"__pycache__"}


def test_sizes_and_times_have_reasons():
    lines = (ROOT / "template.yaml").read_text().splitlines()
    told = [number for number, line in enumerate(lines) if CHOSEN.match(line)]
    assert len(told) == 2 * len(FUNCTIONS)
    for number in told:
        assert lines[number - 1].lstrip().startswith("#"), lines[number]


def test_every_function_is_traced_and_its_log_ends(translated):
    resources = translated["Resources"]
    functions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Function"]
    assert len(functions) == len(FUNCTIONS)
    groups = set()
    for function in functions:
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}
        groups.add(function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"])
    assert len(groups) == len(FUNCTIONS)
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Logs::LogGroup":
            assert resource["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_what_is_deployed_is_what_is_measured_here(translated):
    kinds = {
        "AWS::Lambda::Function": "Architectures",
        "AWS::Lambda::LayerVersion": "CompatibleArchitectures",
    }
    told = [
        each["Properties"].get(kinds[each["Type"]])
        for name, each in translated["Resources"].items()
        if each["Type"] in kinds and not name.startswith("RuntimeLayer")
    ]
    assert told == [["arm64"]] * (len(FUNCTIONS) + 1)


def test_what_is_packed_is_small(built, record_property):
    assert not any(path.is_dir() for path in built.rglob("tests"))
    sizes = {name: size(built / name) for name in ("CoreLayer", "RuntimeLayer", *FUNCTIONS)}
    megabytes = [f"{name} {bytes / 2**20:.1f} MB" for name, bytes in sizes.items()]
    record_property("measured", f"unpacked: {', '.join(megabytes)}")
    assert all(bytes < PACKAGE_LIMIT for bytes in sizes.values())
    packed = {path.name for path in (built / "ChatFunction/botocore/data").iterdir()}
    assert {"bedrock-runtime", "sts", "endpoints.json"} <= packed
    assert len(packed) < 20


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def names(folder: Path) -> set[str]:
    """Top-level names in a folder, without what says only where a package came from."""
    return {path.name for path in folder.iterdir() if path.suffix != ".dist-info"}
