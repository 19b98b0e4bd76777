"""Writes the page of the shop file's settings anew from the models that read it: `make pages`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mersalg.engine.config import ShopConfig

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "shop-file.md"
_HEAD = """# The shop file

All that Mersalg knows of a shop beside its data is in one TOML file, for example `shop.toml`.
`mersalg check --config shop.toml` reads it and the data it names. Paths are relative to the file; a
setting that is not known is an error. Only `[shop]` and `[orders]` must be there.
"""


def shop_page() -> str:
    """The page as it should be."""
    return "\n".join([_HEAD, *_tables("", ShopConfig, many=False)]) + "\n"


def _tables(name: str, model: type[BaseModel], *, many: bool) -> Iterator[str]:
    """A table of the section's own settings, then those of the sections inside of it."""
    inside: list[tuple[str, type[BaseModel], bool]] = []
    rows: list[str] = []
    for field, info in model.model_fields.items():
        named = info.alias or field
        nested = _models_in(info.annotation)
        if nested:
            shape = str(info.annotation)
            by_name = ".NAME" if "Mapping" in shape or "dict" in shape else ""
            inside.append((f"{name}.{named}{by_name}".lstrip("."), nested[0], "tuple" in shape))
        else:
            rows.append(f"| `{named}` | {_default(info)} | {_words(info.description)} |")
    if rows:
        yield f"## `[[{name}]]`\n" if many else f"## `[{name}]`\n"
        if model.__doc__:
            yield f"{_words(model.__doc__)}\n"
        yield "| setting | unless given | says |\n|---|---|---|"
        yield "\n".join(rows) + "\n"
    for each, nested, several in inside:
        yield from _tables(each, nested, many=several)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be given"
    default = info.get_default(call_default_factory=True)
    if default is None or default == () or default == {}:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default[0] if isinstance(default, tuple) else default}`"


def _words(text: str | None) -> str:
    assert text, "every setting says what it is for"
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(shop_page())
