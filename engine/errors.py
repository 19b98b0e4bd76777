"""Every error Mersalg raises on purpose, in one tree.

MersalgError
├── AlertNotSent           the webhook did not take a message; names no address
├── ConfigError            a shop file or setting is wrong
├── DataError              an input file cannot serve (names file, row and column)
├── FactRejected           one fact (event or decision) cannot be taken; the rest go on
│   └── FieldRejected      a field of a fact or of another body; names it
├── GateRefused            a gate said no (exit code 1)
├── ModelError
│   ├── ModelNotFound      no such version, or nothing published
│   ├── ModelCorrupt       a file is missing, truncated or not what the manifest says
│   └── ModelIncompatible  written by a newer or unknown schema
├── ServiceFailed          a running service could not be reached, died or refused a call
└── StorageError
    ├── StorageUnavailable the database is away, locked, full or too slow
    │   └── StorageExchanged  its files were deleted or exchanged while they were open
    └── StorageMismatch    the database belongs to another key, schema or shop
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

LONGEST_REPEATED = 200


def shown(value: object) -> str:
    """Return what was sent as an error repeats it: quoted, and at most 200 characters of it."""
    text = str(value)
    return repr(text[:LONGEST_REPEATED]) + ("..." if len(text) > LONGEST_REPEATED else "")


class MersalgError(Exception):
    """Base of every deliberate error; `code` is stable and fit for machines."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = dict(details or {})

    def __reduce__(self) -> tuple[object, ...]:
        # Processes hand errors on; Python would rebuild them from the message alone.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(
    kind: type[MersalgError], args: tuple[object, ...], state: Mapping[str, object]
) -> MersalgError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class AlertNotSent(MersalgError):
    """The webhook did not take a message; the error names no address."""

    code = "alert_not_sent"


class ConfigError(MersalgError):
    """A setting or option is wrong."""

    code = "config_invalid"


class DataError(MersalgError):
    """An input that cannot serve; says where.

    `file`, `row` (1-based, header excluded) and `column` go both into the text and into `details`.
    """

    code = "data_invalid"

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        details = {"file": file, "row": row, "column": column}
        stated = [f"{name} {value}" for name, value in details.items() if value not in (None, "")]
        where = f" ({', '.join(stated)})" if stated else ""
        super().__init__(f"{message}{where}", details=details)


class FactRejected(MersalgError):
    """One fact cannot be taken. `reason` is the per-fact code (`invalid`, `conflict`, ...)."""

    code = "fact_rejected"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FieldRejected(FactRejected, ValueError):
    """A field cannot be taken; a ValueError too, which `msgspec` takes from structs that check."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__("invalid", f"{field} {problem}")
        self.field, self.problem = field, problem


class GateRefused(MersalgError):
    """A version did not pass the publish gate."""

    code = "gate_refused"


class ModelError(MersalgError):
    """A model cannot be used."""

    code = "model_error"


class ModelNotFound(ModelError):
    """There is no such version."""

    code = "model_not_found"


class ModelCorrupt(ModelError):
    """A version's files are damaged."""

    code = "model_corrupt"


class ModelIncompatible(ModelError):
    """A version is of a schema that this program does not read."""

    code = "model_incompatible"


class ServiceFailed(MersalgError):
    """A service that a command started or called failed."""

    code = "service_failed"


class StorageError(MersalgError):
    """The database cannot be used."""

    code = "storage_error"


class StorageUnavailable(StorageError):
    """`outward` is the message for HTTP callers, without the address or user of the database."""

    code = "storage_unavailable"

    def __init__(self, message: str, *, outward: str | None = None) -> None:
        super().__init__(message)
        self.outward = outward or message


class StorageExchanged(StorageUnavailable):
    """The files of the database were exchanged while they were open."""


class StorageMismatch(StorageError):
    """The database is of another schema."""

    code = "storage_mismatch"
