"""Client of the HTTP API of Mersalg, for the programs of a shop.

`Client` blocks, `AsyncClient` is for asyncio; both have the same methods. `mersalg_client.models`
holds the types of what is sent and answered.
"""

from mersalg_client.client import AsyncClient, Client, RatesQuery
from mersalg_client.errors import Refused, ServiceError, Unreachable
from mersalg_client.tokens import checkout_token

__all__ = [
    "AsyncClient",
    "Client",
    "RatesQuery",
    "Refused",
    "ServiceError",
    "Unreachable",
    "checkout_token",
]
