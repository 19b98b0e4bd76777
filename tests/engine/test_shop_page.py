"""The page that lists the shop file's settings is what its models say."""

from __future__ import annotations

from tests.support.shop_page import PAGE, shop_page


def test_every_setting_of_the_shop_file_is_documented() -> None:
    assert PAGE.read_text() == shop_page(), "write it again: make pages"
