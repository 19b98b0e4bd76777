"""Manifest of a version: its files and their hashes, its origin, its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import msgspec
from msgspec import Meta, Struct

from mersalg.engine.errors import ModelCorrupt, ModelIncompatible

if TYPE_CHECKING:
    from mersalg.engine.model import Settings

SCHEMA_VERSION = 2
# A name with a path in it would lead out of the version's folder.
_FileName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_.]*\.(npy|joblib)\Z")]


class FileEntry(Struct, frozen=True):
    """`sha256` in hexadecimal, `size` in bytes."""

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    size: Annotated[int, Meta(ge=0)]


class _Header(Struct, frozen=True):
    version: str
    """Name of the version and of its folder."""
    schema_version: int
    """Layout of the files; a reader refuses what is newer than it knows."""


class Manifest(_Header, frozen=True):
    """The contents of `manifest.json`."""

    created_at: str
    """ISO 8601, UTC."""
    files: dict[_FileName, FileEntry]
    """File name -> hash and size; nothing else in the folder is ever read."""
    configuration: Mapping[str, Any]
    """The settings serving follows, as JSON."""
    data_range: Mapping[str, Any] = {}
    """First and last order, ISO 8601, or nulls where orders carry no time."""
    counts: Mapping[str, Any] = {}
    """Orders, items, rules, ladders and the like."""
    metrics: Mapping[str, Any] = {}
    """Back-test results."""
    libraries: Mapping[str, Any] = {}
    """Versions of what wrote the files."""
    summary: str = ""
    """One line for people."""
    inputs: str = ""
    """Sha256 of what it was trained on; "" where that can change without notice."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return cast("dict[str, Any]", msgspec.to_builtins(self, enc_hook=_of_numpy))

    def settings(self) -> Settings:
        """Raise ModelIncompatible where the settings are not of this schema."""
        # To list versions takes neither settings nor arrays.
        from mersalg.engine.model import Settings

        hints, stored = get_type_hints(Settings), self.configuration
        try:
            # Older versions have fewer sections.
            sections = hints.keys() & stored.keys()
            return Settings(**{name: hints[name].model_validate(stored[name]) for name in sections})
        except (TypeError, ValueError) as error:
            raise ModelIncompatible(
                f"model {self.version}: its settings are not understood: {error}"
            ) from error


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """Return settings as the manifest holds them."""
    names = settings.__dataclass_fields__
    return {name: getattr(settings, name).model_dump(mode="json") for name in names}


OPTIONAL = ("data_range", "counts", "metrics", "libraries", "summary", "inputs")
"""Fields that training gives; the others the registry knows itself."""


def parse_manifest(raw: bytes, version: str) -> Manifest:
    """Return the manifest of the folder named `version`.

    Raise ModelIncompatible for a newer schema; ModelCorrupt for what is not JSON, lacks fields, is
    of another version or names impossible files.
    """
    try:
        header = msgspec.json.decode(raw, type=_Header)
        if header.schema_version > SCHEMA_VERSION:
            raise ModelIncompatible(
                f"model {version} has schema {header.schema_version}, this Mersalg reads up to "
                f"{SCHEMA_VERSION}: update Mersalg, or publish another version"
            )
        if header.version != version:
            raise ValueError(f"it is of version {header.version!r}")
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, ValueError) as error:
        raise ModelCorrupt(f"model {version}: manifest.json is unusable: {error}") from error


def _of_numpy(value: Any) -> Any:
    return value.tolist()
