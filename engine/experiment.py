"""The randomised hold-out: which arm a unit belongs to."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from mersalg.engine.facts import Arm

PUBLIC_SALT = "mersalg-1"
"""The salt of versions without one of their own for each database: anybody can compute arms."""

_BUCKETS = 2**64


def unit_of(customer_id: str | None, session_id: str | None, checkout_id: str | None = None) -> str:
    """Return who is randomised and counted: the customer, else the session, else the lone checkout.

    The prefix keeps a session from colliding with a customer of the same id.
    """
    if customer_id:
        return f"c:{customer_id}"
    if session_id:
        return f"s:{session_id}"
    return f"k:{checkout_id or ''}"


def assign_arm(unit: str, *, salt: str, holdout: float) -> Arm:
    """Deterministic keyed hash of the unit: `control` with probability `holdout`.

    The same unit and salt always give the same arm, and raising `holdout` only moves units from
    treatment to control, never back.
    """
    hashed = _keyed(salt).copy()
    hashed.update(unit.encode("utf-8", "surrogatepass"))
    return "control" if int.from_bytes(hashed.digest()) < holdout * _BUCKETS else "treatment"


@lru_cache
def _keyed(salt: str) -> hashlib.blake2b:
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    return hashlib.blake2b(key=key, digest_size=8)
