"""Checkout tokens: the shop's server vouches for a checkout whose page calls the service.

A token is `v1.<unix seconds>.<hex HMAC-SHA256>` of "v1", the checkout, the customer ("" where none
is named) and the seconds, joined by newlines, keyed with `MERSALG_CHECKOUT_SECRET`; the client
(`mersalg_client.checkout_token`) makes them.
"""

from __future__ import annotations

import hashlib
import hmac

VALID_SECONDS = 24 * 3600
_AHEAD_SECONDS = 300
"""By which the clock of the shop's server may be ahead."""
_SECONDS_DIGITS = 12


def token_problem(
    token: str, secret: bytes | None, checkout_id: str, customer_id: str | None, now: float
) -> str | None:
    """Return why a token does not vouch for a checkout; None where it does."""
    if secret is None:
        return "cannot be checked: the service has no MERSALG_CHECKOUT_SECRET"
    version, _, rest = token.partition(".")
    seconds, _, _ = rest.partition(".")
    if version != "v1" or not (seconds.isascii() and seconds.isdecimal()):
        return "is not v1.<unix seconds>.<signature>"
    if len(seconds) > _SECONDS_DIGITS:
        return "is not of this checkout and customer"
    if "\n" in checkout_id or "\n" in (customer_id or ""):
        return "cannot be checked: an id holds a newline, which separates what is signed"
    signed = "\n".join(("v1", checkout_id, customer_id or "", str(int(seconds)))).encode()
    expected = f"v1.{int(seconds)}.{hmac.digest(secret, signed, hashlib.sha256).hex()}"
    if not hmac.compare_digest(token.encode("utf-8", "replace"), expected.encode()):
        return "is not of this checkout and customer"
    if not -_AHEAD_SECONDS <= now - int(seconds) <= VALID_SECONDS:
        return "has expired" if now > int(seconds) else "is dated in the future"
    return None
