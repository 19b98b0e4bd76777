"""The chart library's script, out of Plotly's own wheel: no page loads one from elsewhere."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def _path() -> Path:
    spec = find_spec("plotly")
    assert spec is not None, "Plotly is a dependency of this package"
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


PATH = _path()

_INJECTED = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


@cache
def unneeded_style_ids() -> tuple[str, ...]:
    """Ids of style sheets (of maps, which no page here draws) that the script injects when loaded.

    It leaves out those whose id it finds on the page; injecting them would break the page's
    content security policy.
    """
    return tuple(dict.fromkeys(_INJECTED.findall(PATH.read_text("utf-8"))))
