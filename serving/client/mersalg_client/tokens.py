"""Checkout tokens, by which calls of a page count as calls of the shop's server."""

from __future__ import annotations

import hashlib
import hmac
import time


def checkout_token(
    secret: bytes, checkout_id: str, customer_id: str | None = None, *, at: float | None = None
) -> str:
    """Return the token of a checkout, to be made on the shop's server when it renders the page.

    It is valid for 24 hours.

    Parameters
    ----------
    secret
        `MERSALG_CHECKOUT_SECRET` of the service.
    checkout_id, customer_id
        As the page's calls name them.
    at
        Unix seconds; now where not given.

    Raises
    ------
    ValueError
        An id holds a newline, which separates the signed fields.
    """
    seconds = str(int(time.time() if at is None else at))
    if "\n" in checkout_id or "\n" in (customer_id or ""):
        raise ValueError("checkout_id and customer_id must not hold a newline")
    signed = "\n".join(("v1", checkout_id, customer_id or "", seconds)).encode()
    return f"v1.{seconds}.{hmac.digest(secret, signed, hashlib.sha256).hex()}"
