"""The README and the pages of docs/ cannot rot: they are run, and built into the site."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from mersalg.training.simulation.sample_shop import sample_files
from tests.support import reference_pages
from tests.support.commands import run
from tests.support.made_once import train_once
from tests.support.pages import CHECKED_ELSEWHERE, Reader, blocks_of
from tests.support.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
SITE = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]


def _needs_postgres(page: Path) -> bool:
    return "postgresql://localhost" in page.read_text("utf-8")


def _followed() -> Iterator[Any]:
    """Yield the pages with blocks, those on PostgreSQL marked."""
    for page in PAGES:
        if blocks_of(page):
            marks = [pytest.mark.postgres] if _needs_postgres(page) else []
            yield pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks)


@pytest.fixture(scope="module")
def trained_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which a page that does not begin with an empty one is followed."""
    folder = tmp_path_factory.mktemp("bike-shop")
    for name, content in sample_files("bike-shop", datetime.now(UTC)).items():
        (folder / name).write_bytes(content)
    files = [folder / "orders.csv", folder / "catalogue.csv"]
    train_once(folder / "shop.toml", folder / "models", files)
    return folder


@pytest.mark.parametrize("page", list(_followed()))
def test_what_a_page_shows_happens(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "shop"
    blocks = blocks_of(page)
    if any("mersalg init --sample" in block.text for block in blocks):
        folder.mkdir()
    else:
        shutil.copytree(request.getfixturevalue("trained_shop"), folder)
    postgres = request.getfixturevalue("fresh_postgres_url") if _needs_postgres(page) else ""
    with Reader(folder, postgres) as reader:
        for block in blocks:
            try:
                reader.follow(block)
            except Exception as error:
                raise AssertionError(f"{page.name}, line {block.line}: {error}") from error


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "\n>>> " in page.read_text("utf-8")],
    ids=lambda page: page.name,
)
def test_the_python_of_a_page_prints_what_it_says(page: Path) -> None:
    text = page.read_text("utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    done = _Examples(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert done.attempted > 0
    assert done.failed == 0


class _Examples(doctest.DocTestRunner):
    """Runs the examples of a page; one that is skipped (`--fast`) skips the page."""

    def report_unexpected_exception(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, exc_info: Any
    ) -> None:
        if isinstance(exc_info[1], pytest.skip.Exception):
            raise exc_info[1]
        super().report_unexpected_exception(out, test, example, exc_info)


def test_code_in_other_languages_is_run_by_its_own_test() -> None:
    for language, test in CHECKED_ELSEWHERE.items():
        pages = [page.name for page in PAGES if f"```{language}\n" in page.read_text("utf-8")]
        assert pages
        assert all(page in (ROOT / test).read_text("utf-8") for page in pages)


@pytest.mark.browser
def test_the_page_of_a_shop_shows_offers(
    browser: Browser, trained_shop: Path, tmp_path: Path
) -> None:
    shown = blocks_of(DOCS / "how-to" / "browser.md")
    (html,) = (block for block in shown if block.language == "html")
    folder = shutil.copytree(trained_shop, tmp_path / "shop")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web, Reader(folder) as reader:
        origin = f"http://127.0.0.1:{web.server_port}"
        reader.environment["MERSALG_ALLOWED_ORIGINS"] = origin
        reader.environment["MERSALG_KEYS"] = "storefront:mk_..."
        reader.follow(replace(html, language="sh", text="mersalg serve --port 8000"))
        text = html.text.replace("https://offers.shop.example", reader.url)
        (tmp_path / "page.html").write_text(text)
        Thread(target=web.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"{origin}/page.html")
        page.locator(".mersalg-name").first.wait_for(timeout=1000 * WAIT_SECONDS)
        page.close()
        web.shutdown()


@pytest.mark.parametrize("page", list(reference_pages.PAGES), ids=lambda page: page.name)
def test_a_page_of_the_reference_is_what_the_code_says(page: Path) -> None:
    written = reference_pages.PAGES[page]()
    assert page.read_text("utf-8") == written, "write it again: make pages"


def test_every_command_named_exists() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"[`\n]mersalg ([a-z]+(?: (?:import|export|list|show|status))?)", text))
    assert {"train", "suggest", "serve", "report", "events import", "models list"} <= named
    for command in named:
        assert "Usage" in run(*command.split(), "--help")


def test_the_readme_is_a_front_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_head_of_a_table_is_followed_by_its_rows(page: Path) -> None:
    # A blank line after the dashes ends the table: readers see the rows as text with bars.
    assert not re.search(r"^\|[-|]+\|\n(?!\|)", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_of_the_front_pages_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text("utf-8"))
    files = [target for target in targets if not target.startswith("http")]
    assert [target for target in files if not (ROOT / target).exists()] == []


def test_the_site_is_built_without_a_warning_or_a_network(tmp_path: Path) -> None:
    """It checks links; a page outside of the navigation, or a missing one, it would not see."""
    navigation = set(re.findall(r"'([\w/.-]+\.md)'", str(SITE["nav"])))
    assert navigation == {str(page.relative_to(DOCS)) for page in DOCS.glob("**/*.md")}
    shutil.copytree(DOCS, tmp_path / "docs")
    (tmp_path / "models").mkdir()
    for name in ("zensical.toml", "SECURITY.md", "CHANGELOG.md", "models/README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / SITE["site_dir"]).glob("**/*.html"))
    assert len(pages) > len(navigation)
    for page in pages:
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"(https?:[^\"]*)",
            page.read_text("utf-8"),
        )
        assert loaded == []
