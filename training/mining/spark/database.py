"""Order lines of a database, read by Spark's executors over JDBC."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from mersalg.engine.environment import expand_environment
from mersalg.engine.errors import ConfigError
from mersalg.training.reading.database_source import without_password

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ROWS_AT_A_TIME = 20_000
_MOST_CONNECTIONS = 16
_TEXTS = 'CAST("order_id" AS text) AS order_id, CAST("item_id" AS text) AS item_id'


def name_of(url: str) -> str:
    """Return a source's name in messages: no password, and no query of a `jdbc:` URL.

    Raises
    ------
    ConfigError
        No database URL, or a variable in it is not set.
    """
    if url.startswith("jdbc:"):
        return url.partition("?")[0]
    return without_password(url)


def read(spark: SparkSession, url: str, query: str) -> DataFrame:
    """Return the rows of `query`, which gives the columns `order_id` and `item_id`.

    PostgreSQL is asked by several connections at once, each for its share of the orders: an order
    is always read whole. Another database (`jdbc:...`) is asked by one.

    Raises
    ------
    ConfigError
        The URL cannot be used.
    """
    # On lines of its own: the query may end in a comment.
    inner = f"(\n{query.strip().rstrip(';')}\n) AS shop_orders"
    if url.startswith("jdbc:"):
        options = {"fetchsize": str(_ROWS_AT_A_TIME)}
        return spark.read.jdbc(expand_environment(url, "url"), inner, properties=options)
    address, options = _postgres(url)
    n_shares = min(spark.sparkContext.defaultParallelism, _MOST_CONNECTIONS)
    shares = [
        f"mod(hashtext(order_id) & 2147483647, {n_shares}) = {share}" for share in range(n_shares)
    ]
    # An order without id has no hash; it must be seen to be complained of.
    shares[0] += " OR order_id IS NULL"
    table = f"(SELECT {_TEXTS} FROM {inner}) AS shop_lines"  # noqa: S608 (the shop's own query)
    return spark.read.jdbc(address, table, predicates=shares, properties=options)


def _postgres(url: str) -> tuple[str, dict[str, str]]:
    """Return the JDBC URL, and the settings that are not put into it."""
    from sqlalchemy.engine import make_url

    target = make_url(expand_environment(url, "url"))
    if target.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(f"Spark reads {target.get_backend_name()} by a jdbc: URL")
    host = target.host or "localhost"
    address = f"jdbc:postgresql://{f'[{host}]' if ':' in host else host}:{target.port or 5432}"
    address += f"/{target.database or ''}"
    if target.query:
        address += f"?{urlencode(dict(target.query), doseq=True)}"
    options = {"driver": "org.postgresql.Driver", "fetchsize": str(_ROWS_AT_A_TIME)}
    if target.username:
        options["user"] = target.username
    if target.password:
        options["password"] = str(target.password)
    return address, options
