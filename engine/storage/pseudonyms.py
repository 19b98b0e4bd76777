"""Keyed hashes in place of customer and session ids: who holds the data alone names nobody."""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache

from msgspec.structs import replace

from engine.facts import Fact
from engine.storage.secrets import secrets_in

_REMEMBERED = 4_096
_FORM = re.compile(r"p1\.[0-9a-f]{8}\.[0-9a-f]{32}")


class Pseudonyms:
    """HMAC-SHA256 under a secret; equal ids give equal pseudonyms, and nothing leads back.

    A pseudonym reads `p1.<fingerprint of the secret>.<128 bits of the hash>`. After a rotation
    there are several secrets, one a line: an id is hashed under the oldest, what comes out under
    the next, and so on. So stored pseudonyms are brought under a new secret without their ids.
    """

    def __init__(self, secret: bytes) -> None:
        self._secrets = secrets_in(secret)
        self._hashes = tuple(hmac.new(each, digestmod=hashlib.sha256) for each in self._secrets)
        # The facts of one visit come together and name the same ids.
        self._remembered = lru_cache(_REMEMBERED)(self._hashed)
        self._fingerprints = tuple(map(_fingerprint, self._secrets))
        self.fingerprint = self._fingerprints[-1]

    @property
    def secret(self) -> bytes:
        """All secrets, for another process of our own that hashes as this one does."""
        return b"\n".join(self._secrets)

    @property
    def earlier_fingerprints(self) -> tuple[str, ...]:
        """Of the secrets that were rotated out, the oldest first."""
        return self._fingerprints[:-1]

    def of(self, kind: str, identifier: str, *, trusted: bool = False) -> str:
        """The pseudonym of a `customer` or `session` id.

        A `trusted` source (a file this software exported) may bring pseudonyms, which are then
        brought under the present secret; from anyone else they are ids like others.
        """
        if trusted and identifier.startswith("p1.") and _FORM.fullmatch(identifier):
            return self.renewed(identifier)
        return self._remembered(kind, identifier)

    def renewed(self, pseudonym: str) -> str:
        """Under the present secret; one of a secret unknown here stays what it is."""
        made_under = pseudonym.split(".")[1]
        if made_under not in self._fingerprints:
            return pseudonym
        place = self._fingerprints.index(made_under)
        for keyed, mark in zip(
            self._hashes[place + 1 :], self._fingerprints[place + 1 :], strict=True
        ):
            pseudonym = _pseudonym(keyed, mark, f"renewed\x1f{pseudonym}")
        return pseudonym

    def _hashed(self, kind: str, identifier: str) -> str:
        first = _pseudonym(self._hashes[0], self._fingerprints[0], f"{kind}\x1f{identifier}")
        return self.renewed(first)

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


def _fingerprint(secret: bytes) -> str:
    return hmac.digest(secret, b"mersalg key fingerprint", hashlib.sha256).hex()[:8]


def _pseudonym(keyed: hmac.HMAC, mark: str, message: str) -> str:
    # A copy of what was begun with the secret: no key to spread, and, unlike `hmac.digest`, no
    # wait for other threads.
    own = keyed.copy()
    own.update(message.encode())
    return f"p1.{mark}.{own.digest().hex()[:32]}"
