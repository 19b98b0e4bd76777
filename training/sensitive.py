"""Categories that a shop may want to name in `[offers] sensitive`, by what they are called."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

from mersalg.engine.merchandising.targets import category_path


def sensitive_categories(categories: Iterable[str]) -> dict[str, str]:
    """Return the names among category paths that sound sensitive, each with its topic.

    Of a path the first part that does: of `Food > Wine > Red wine` it is `Wine`, which holds for
    all below it. Names that differ in letter case alone are one.
    """
    found: dict[str, tuple[str, str]] = {}
    for category in categories:
        for name in category_path(category):
            topic = _topic(name)
            if topic:
                found.setdefault(name.casefold(), (name, topic))
                break
    return dict(sorted(found.values()))


def _topic(name: str) -> str | None:
    topics, others = _patterns()
    text = name.casefold()
    if others.search(text):
        return None
    return next((topic for topic, pattern in topics.items() if pattern.search(text)), None)


@lru_cache
def _patterns() -> tuple[dict[str, re.Pattern[str]], re.Pattern[str]]:
    text = (resources.files("mersalg.training") / "sensitive.toml").read_text("utf-8")
    table = tomllib.loads(text)
    topics = {topic: _any_of(names) for topic, names in table["names"].items()}
    return topics, _any_of(table["not"]["words"])


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    listed = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.compile(rf"(?<![^\W_])(?:{listed})(?![^\W_])")
