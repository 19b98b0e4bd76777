"""What a version says of itself: its files and their hashes, its origin, how good it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast, get_type_hints

import orjson

from mersalg.engine.errors import ModelCorrupt, ModelIncompatible

if TYPE_CHECKING:
    from mersalg.engine.model import Settings

SCHEMA_VERSION = 2
FILE_NAME = re.compile(r"[a-z][a-z0-9_.]*\.(npy|joblib)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """`sha256` in hexadecimal, `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes
    ----------
    version
        Name of the version and of its folder.
    schema_version
        Layout of the files; a reader refuses what is newer than it knows.
    created_at
        ISO 8601, UTC.
    files
        File name -> hash and size; nothing else in the folder is ever read.
    configuration
        The settings serving follows, as JSON.
    data_range
        First and last order, ISO 8601, or nulls where orders carry no time.
    counts
        Orders, items, rules, ladders and the like.
    metrics
        Back-test results.
    libraries
        Versions of what wrote the files.
    summary
        One line for people.
    inputs
        Sha256 of what it was trained on; "" where that can change without notice.
    """

    version: str
    schema_version: int
    created_at: str
    files: Mapping[str, FileEntry]
    configuration: Mapping[str, Any]
    data_range: Mapping[str, Any] = field(default_factory=dict[str, Any])
    counts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    libraries: Mapping[str, Any] = field(default_factory=dict[str, Any])
    summary: str = ""
    inputs: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    def settings(self) -> Settings:
        """Raise ModelIncompatible where the settings are not of this schema."""
        # To list versions takes neither settings nor arrays.
        from mersalg.engine.model import Settings

        hints, stored = get_type_hints(Settings), self.configuration
        try:
            # Older versions have fewer sections.
            sections = {each.name for each in fields(Settings)} & stored.keys()
            return Settings(**{name: hints[name].model_validate(stored[name]) for name in sections})
        except (TypeError, ValueError) as error:
            raise ModelIncompatible(
                f"model {self.version}: its settings are not understood: {error}"
            ) from error


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """Return settings as the manifest holds them."""
    return {
        each.name: getattr(settings, each.name).model_dump(mode="json") for each in fields(settings)
    }


OPTIONAL = ("data_range", "counts", "metrics", "libraries", "summary", "inputs")
"""Fields that training gives; the others the registry knows itself."""


def parse_manifest(raw: bytes, version: str) -> Manifest:
    """Return the manifest of the folder named `version`.

    Raises
    ------
    ModelIncompatible
        Of a newer schema.
    ModelCorrupt
        Not JSON, fields missing, of another version, or naming impossible files.
    """
    try:
        data = orjson.loads(raw)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        stated = cast("dict[str, Any]", data)
        schema_version = int(stated["schema_version"])
        if schema_version > SCHEMA_VERSION:
            raise ModelIncompatible(
                f"model {version} has schema {schema_version}, this Mersalg reads up to "
                f"{SCHEMA_VERSION}: update Mersalg, or publish another version"
            )
        if stated["version"] != version:
            raise ValueError(f"it speaks of version {stated['version']!r}")
        return Manifest(
            version=version,
            schema_version=schema_version,
            created_at=str(stated["created_at"]),
            files={name: _file_entry(name, entry) for name, entry in stated["files"].items()},
            configuration=dict(stated["configuration"]),
            **{name: stated[name] for name in OPTIONAL if name in stated},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelCorrupt(f"model {version}: manifest.json is unusable: {reason}") from error


def _file_entry(name: str, entry: Mapping[str, Any]) -> FileEntry:
    sha256, size = str(entry["sha256"]), int(entry["size"])
    # A name with a path in it would lead out of the version's folder.
    if not FILE_NAME.fullmatch(name) or not _SHA256.fullmatch(sha256) or size < 0:
        raise ValueError(f"impossible file entry {name!r}")
    return FileEntry(sha256, size)
