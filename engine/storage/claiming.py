"""Whose secret the ids of a database were hashed under: its mark, kept in the database."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.errors import StorageMismatch
from engine.storage import notes
from engine.storage.pseudonyms import Pseudonyms

SETTING = "secret_fingerprint"


def claim(connection: Connection, pseudonyms: Pseudonyms) -> None:
    """Mark the database with this secret, or refuse it where another one's mark stands.

    Raises:
        StorageMismatch: the ids were hashed under another secret.
    """
    mark = notes.note_once(connection, SETTING, pseudonyms.fingerprint)
    if mark != pseudonyms.fingerprint:
        raise StorageMismatch(
            f"the ids in this database were hashed under another secret ({mark}, this one is"
            f" {pseudonyms.fingerprint}); give that secret in MERSALG_SECRET or"
            " MERSALG_SECRET_FILE"
            + (
                "; `mersalg customers rotate --present` brings them under this one"
                if mark in pseudonyms.earlier_fingerprints
                else ""
            )
        )


def claim_after_rotation(connection: Connection, pseudonyms: Pseudonyms) -> None:
    """The same, where the mark of an earlier secret gives way to the newest one's."""
    if notes.note(connection, SETTING) in pseudonyms.earlier_fingerprints:
        notes.keep_note(connection, SETTING, pseudonyms.fingerprint)
    claim(connection, pseudonyms)


def mark_of(connection: Connection) -> str | None:
    """None where nobody has claimed the database yet."""
    return notes.note(connection, SETTING)
