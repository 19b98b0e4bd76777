"""Recommendation engine with offer tracking: cross-sell and upsell at checkout, and their rates.

Wheels and editable installs have this file as `mersalg/__init__.py`. Names are loaded when they
are first used, so that importing a part of the package loads no library it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mersalg.serving.facts_api import rates
    from mersalg.training.api import CrossSellRecommender, PriceTiers, UpsellRecommender, mine
    from mersalg.training.frequent_patterns import association_rules, fpgrowth

__version__ = "0.1.0"
"""The one place that says it: wheels, the client and the service read it here."""

__all__ = [
    "CrossSellRecommender",
    "PriceTiers",
    "UpsellRecommender",
    "association_rules",
    "fpgrowth",
    "mine",
    "rates",
]

_MODULES = {
    **dict.fromkeys(__all__, "mersalg.training.api"),
    "association_rules": "mersalg.training.frequent_patterns",
    "fpgrowth": "mersalg.training.frequent_patterns",
    "rates": "mersalg.serving.facts_api",
}


def __getattr__(name: str) -> Any:
    """Return a name of the Python interface; raise ImportError, saying what to install."""
    if name not in _MODULES:
        raise AttributeError(f"module 'mersalg' has no attribute {name!r}")
    try:
        return getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        message = f"mersalg.{name} needs {error.name}: pip install 'mersalg[train]'"
        raise ImportError(message, name=error.name) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
