"""Keyed hashes in place of customer and session ids: who holds the data alone names nobody."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import replace
from functools import lru_cache

from engine.events import Fact

_REMEMBERED = 8_192
_FORM = re.compile(r"p1\.[0-9a-f]{8}\.[0-9a-f]{32}")


class Pseudonyms:
    """HMAC-SHA256 under one secret; equal ids give equal pseudonyms, and nothing leads back.

    A pseudonym reads `p1.<fingerprint of the secret>.<128 bits of the hash>`.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # The facts of one visit come together and name the same ids.
        self._remembered = lru_cache(_REMEMBERED)(self._hashed)
        self.fingerprint = hmac.digest(secret, b"mersalg key fingerprint", hashlib.sha256).hex()[:8]

    def of(self, kind: str, identifier: str, *, trusted: bool = False) -> str:
        """The pseudonym of a `customer` or `session` id.

        A `trusted` source (a file this software exported) may bring pseudonyms, which then stay
        what they are; from anyone else they are ids like others.
        """
        if trusted and _FORM.fullmatch(identifier):
            return identifier
        return self._remembered(kind, identifier)

    def _hashed(self, kind: str, identifier: str) -> str:
        message = f"{kind}\x1f{identifier}".encode()
        digest = hmac.digest(self._secret, message, hashlib.sha256).hex()
        return f"p1.{self.fingerprint}.{digest[:32]}"

    def applied(self, fact: Fact, *, trusted: bool = False) -> Fact:
        """The fact with pseudonyms in place of its customer and session ids."""
        customer, session = fact.customer_id, fact.session_id
        if customer is None and session is None:
            return fact
        return replace(
            fact,
            customer_id=customer and self.of("customer", customer, trusted=trusted),
            session_id=session and self.of("session", session, trusted=trusted),
        )
