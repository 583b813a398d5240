"""docker-compose.yml and the Dockerfile, as far as they can be tried without Docker."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from tests.acceptance.aws.test_emulator import free_port

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# Run once and end.
JOBS = {"deploy", "secrets"}


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_the_file_is_what_compose_specifies():
    command = [Path(sys.executable).parent / "check-jsonschema"]
    done = subprocess.run(
        [*command, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_one_command_brings_everything_and_another_does_without_localstack(services):
    plain = {name for name, service in services.items() if "profiles" not in service}
    assert plain == {"deploy", "localstack", "page", "postgres", "secrets", "valkey"}
    # A service that is named brings what it depends on, and nothing else.
    assert brought_by("server", services) == {"postgres", "secrets", "server", "valkey"}
    assert "pgvector" in services["postgres"]["image"]


def test_what_runs_on_says_whether_it_is_well(services):
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in JOBS), name
        for other, told in service.get("depends_on", {}).items():
            finished = "service_completed_successfully"
            assert told["condition"] == (finished if other in JOBS else "service_healthy")


def test_only_this_machine_reaches_it(services):
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_it_holds_no_secret(services):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("TOKEN|KEY|PASSWORD", name):
                assert value.startswith(("${", "/secrets/")), name
            assert not re.search(r"://[^/@]*:[^/@$]+@", value), name
    assert services["localstack"]["environment"]["LOCALSTACK_AUTH_TOKEN"].startswith("${")


def test_what_is_kept_is_in_volumes(services):
    volumes = yaml.safe_load(COMPOSE.read_text())["volumes"]
    for name in ("postgres", "valkey", "localstack"):
        assert any(each.startswith(f"{name}:/") for each in services[name]["volumes"])
        assert name in volumes


def test_passwords_are_made_once(services, tmp_path):
    [*shell, script] = services["secrets"]["entrypoint"]
    script = script.replace("$$", "$").replace("/secrets", str(tmp_path))
    made = []
    for _ in range(2):
        subprocess.run([*shell, script], check=True)
        made.append({path.name: path.read_text() for path in tmp_path.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"database-password", "secret-key"}
    assert len(set(made[0].values())) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in made[0].values())


def test_the_image_runs_as_nobody_in_particular():
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert last.index("USER ") > last.index("RUN useradd")
    copied = re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text()
    for source in (name for line in copied for name in line.split()[:-1]):
        assert (ROOT / source).exists()
        assert any(source.startswith(kept) for kept in re.findall("^!(.+)", ignored, re.MULTILINE))


def test_the_image_s_command_serves_and_its_health_check_sees_it(
    database_url, valkey_url, tmp_path
):
    (tmp_path / "index.html").write_text("<!doctype html>")
    port = free_port()
    command = json.loads(instruction("CMD"))
    command = [sys.executable, *command[1:-1], str(tmp_path), "--port", str(port)]
    check = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    check = [sys.executable, check[1], check[2].replace("8787", str(port))]
    variables = {
        "PATH": os.environ["PATH"],
        "TAILRACE_DATABASE_URL": database_url,
        "TAILRACE_REDIS_URL": valkey_url,
        "TAILRACE_SECRET_KEY": "a secret key that only tests use",
    }
    assert subprocess.run(check, capture_output=True).returncode != 0
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert b"listens" in process.stdout.readline()
        assert subprocess.run(check).returncode == 0
        with urlopen(f"http://127.0.0.1:{port}/readyz") as response:
            assert response.status == 200
        process.terminate()
        assert process.wait(30) == 0


def brought_by(name: str, services: dict) -> set[str]:
    """Return a service and all that it depends on."""
    found = {name}
    for other in services[name].get("depends_on", {}):
        found |= brought_by(other, services)
    return found


def instruction(name: str) -> str:
    """Return the last instruction of a name, without the name."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(f"{name} ")][-1].removeprefix(f"{name} ")
