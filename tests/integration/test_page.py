"""The page's files: what is cached for how long, and what falls back to the page itself."""

from pathlib import Path

import httpx
import pytest


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
