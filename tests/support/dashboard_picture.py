"""Take the picture of the dashboard again: `python -m tests.support.dashboard_picture`.

To be run after a change of its first page. The shop is simulated.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from tests.serving.test_dashboard_pages import is_counted
from tests.support.commands import run
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server
from tests.support.system import CHROMIUM_FLAGS, chromium
from tests.support.waiting import eventually
from tests.support.widget_pictures import FOLDER

PICTURE = FOLDER / "dashboard.en.png"
_PERIOD = "from=2026-01-16&to=2026-02-12"
"""Four weeks, with as many days before them, of the simulated buyers."""


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        publish_model(folder / "models", tiny_model(holdout=0.2, shop_name="Phones & Sound"))
        facts = f"sqlite:///{folder / 'facts.db'}"
        run("simulate", "--checkouts", "30000", "--holdout", "0.2", "--database", facts)
        with running_server(folder) as server:
            browser = playwright.chromium.launch(
                executable_path=chromium(), args=list(CHROMIUM_FLAGS)
            )
            viewport = ViewportSize(width=1200, height=1180)
            page = browser.new_context(viewport=viewport, color_scheme="light").new_page()
            address = f"{server.url}/dashboard?{_PERIOD}"
            eventually(partial(is_counted, page, address, "en"))
            page.screenshot(path=PICTURE)
            browser.close()


if __name__ == "__main__":
    main()
