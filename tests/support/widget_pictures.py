"""Take all pictures of the gallery again: `python -m tests.support.widget_pictures`.

To be run after a change of `serving/browser` or of the texts of offers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import FloatRect, ViewportSize, sync_playwright

from tests.serving.test_browser_snippet import go, running_shop
from tests.support.models import PHONE_SHOP_ITEMS
from tests.support.system import CHROMIUM_FLAGS, chromium

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
_ROOM = 16
"""Pixels of the page around the widget."""


class Picture(NamedTuple):
    """The widget in a page of a shop."""

    placement: str
    language: str
    width: int
    scheme: Literal["light", "dark"]

    @property
    def path(self) -> Path:
        """File of the picture."""
        return FOLDER / f"widget-{self.placement}-{self.width}-{self.scheme}.{self.language}.png"


def pictures() -> Iterator[Picture]:
    """Those of the gallery."""
    for width in (1440, 375):
        for placement in ("checkout", "drawer"):
            yield Picture(placement, "en", width, "light")
        yield Picture("checkout", "nb", width, "dark")


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        running_shop(Path(folder), PHONE_SHOP_ITEMS) as shop,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
        for each in pictures():
            viewport = ViewportSize(width=each.width, height=1000)
            context = browser.new_context(viewport=viewport, color_scheme=each.scheme)
            page = context.new_page()
            go(page, shop, each.path.stem, lang=each.language, placement=each.placement, undo="yes")
            page.click("#offers button.mersalg-add >> nth=0")
            page.wait_for_function("() => [...document.images].every((each) => each.complete)")
            box = page.locator(".mersalg").bounding_box()
            assert box is not None
            left, top = box["x"] - _ROOM, box["y"] - _ROOM
            width, height = box["width"] + 2 * _ROOM, box["height"] + 2 * _ROOM
            clip = FloatRect(x=left, y=top, width=width, height=height)
            page.screenshot(path=each.path, clip=clip)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
