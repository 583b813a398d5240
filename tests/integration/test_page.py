"""The page's files: what is cached for how long, and what falls back to the page itself."""

from pathlib import Path

import httpx
import pytest

from tailrace.http.page_headers import origins_of_files, page_headers, page_policy
from tailrace.settings import Settings
from tests.integration.conftest import site


@pytest.fixture
def web_root(tmp_path: Path) -> Path:
    """A built page with hashed assets."""
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>Tailrace</title>")
    (root / "favicon.svg").write_text("<svg/>")
    (root / "assets" / "index-Bq3F9x.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("not for the web")
    return root


@pytest.mark.parametrize("path", ["/", "/c/0192f0c1", "/numbers", "/index.html"])
async def test_the_page_answers_its_own_paths_and_is_never_cached(
    http: httpx.AsyncClient, path: str
) -> None:
    response = await http.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-cache"
    assert "Tailrace" in response.text


async def test_hashed_assets_are_cached_for_good(http: httpx.AsyncClient) -> None:
    response = await http.get("/assets/index-Bq3F9x.js")
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_other_files_are_asked_for_each_time(http: httpx.AsyncClient) -> None:
    first = await http.get("/favicon.svg")
    assert first.headers["cache-control"] == "no-cache"
    again = await http.get("/favicon.svg", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/assets/gone.js", "/favicon.ico", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/a.txt%00"],
)
async def test_a_file_that_is_not_there_is_not_the_page(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "immutable" not in response.headers.get("cache-control", "")


async def test_the_page_is_only_read(http: httpx.AsyncClient) -> None:
    response = await http.post("/")
    assert response.status_code == 405
    assert response.json()["status"] == 405


@pytest.mark.parametrize("path", ["/api", "/api/nothing", "/api/chatter", "/api/chat/x/y/z"])
async def test_unknown_api_paths_are_problems_not_the_page(
    http: httpx.AsyncClient, path: str
) -> None:
    response = await http.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 404


@pytest.mark.parametrize("path", ["/", "/c/0192f0c1", "/shared/a-b_c", "/assets/index-Bq3F9x.js"])
@pytest.mark.parametrize("over_tls", [False, True])
async def test_the_page_forbids_what_it_forbids_on_aws(
    settings: Settings, web_root: Path, path: str, over_tls: bool
) -> None:
    settings = settings.model_copy(update={"secure_cookies": over_tls})
    async with site(settings, web_root) as http:
        told = (await http.get(path)).headers
    expected = page_headers(path, page_policy(), over_tls=over_tls)
    assert expected.items() <= dict(told).items()
    assert ("strict-transport-security" in told) == over_tls


@pytest.mark.parametrize(
    ("url", "endpoint_url", "origins"),
    [
        (None, None, []),
        ("file:///files", None, []),
        ("s3://files/prefix", "http://localhost:9000/minio", ["http://localhost:9000"]),
        (
            "s3://files/prefix",
            None,
            [
                "https://files.s3.amazonaws.com",
                "https://files.s3.eu-central-1.amazonaws.com",
                "https://files.s3.dualstack.eu-central-1.amazonaws.com",
            ],
        ),
    ],
)
def test_the_page_may_reach_the_files_of_messages(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    url: str | None,
    endpoint_url: str | None,
    origins: list[str],
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    settings = settings.model_copy(
        update={"attachments_url": url, "attachments_endpoint_url": endpoint_url}
    )
    assert origins_of_files(settings) == origins
