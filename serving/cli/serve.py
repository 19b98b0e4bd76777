"""`mersalg serve`: the HTTP service, until it is stopped."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mersalg.engine.errors import ConfigError, ModelError, StorageUnavailable
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.serving.settings import ServeSettings

_log = logging.getLogger("mersalg.serve")

# Longer than everything a worker may still have to write when it is stopped.
_STOP_SECONDS = 28
_BACKLOG = 4096
"""Connections that the system holds until a worker takes them."""


def command(
    context: typer.Context,
    models: console.ModelsOption = Path("models"),
    database: Annotated[str, typer.Option(envvar="MERSALG_DATABASE")] = "sqlite:///mersalg.db",
    host: Annotated[str, typer.Option(envvar="MERSALG_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="MERSALG_PORT")] = 8000,
    workers: Annotated[int, typer.Option(envvar="MERSALG_WORKERS")] = 1,
    config: Annotated[Path | None, typer.Option(envvar="MERSALG_CONFIG")] = None,
    spool: Annotated[Path | None, typer.Option(envvar="MERSALG_SPOOL", show_default=False)] = None,
    database_deadline_ms: Annotated[int, typer.Option(envvar="MERSALG_DATABASE_DEADLINE_MS")] = 50,
    access_log: Annotated[bool, typer.Option(envvar="MERSALG_ACCESS_LOG")] = False,
    log_format: Annotated[str, typer.Option(envvar="MERSALG_LOG_FORMAT")] = "human",
    log_level: Annotated[str, typer.Option(envvar="MERSALG_LOG_LEVEL")] = "info",
    drain_seconds: Annotated[float, typer.Option(envvar="MERSALG_DRAIN_SECONDS")] = 0,
    as_json: console.JsonFlag = False,
) -> None:
    """Answer suggestion calls, record events, report the rates, show the dashboard.

    API keys come from MERSALG_KEYS or a file named by MERSALG_KEYS_FILE, as scope:key with the
    scopes storefront, server, report and admin. Without keys every call is allowed, and only
    callers on this machine are served.
    """
    from functools import partial
    from logging.config import dictConfig

    from mersalg.serving import logs
    from mersalg.serving.connections import possible_connections
    from mersalg.serving.settings import load_settings

    # Networks of this size are too small to share: threads would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    held = hold_port(host, port)
    options = {name: value for name, value in context.params.items() if name != "as_json"}
    options |= {"log_format": log_format.lower(), "log_level": log_level.lower()}
    options |= {"port": held.getsockname()[1], "parent": os.getpid()}
    settings = load_settings(os.environ, **options)
    if settings.traces:
        from mersalg.serving.tracing import require_library

        require_library()
    lines = logs.configuration(settings.log_format, settings.log_level)
    dictConfig(lines)
    if not settings.on_loopback and any(key.short for key in settings.keys.keys):
        _log.warning(
            "a key has fewer than 16 characters and can be guessed;"
            " `mersalg keys create` makes one that cannot"
        )
    connections = possible_connections(settings.connections)
    if connections < settings.connections:
        _log.warning(
            "the system allows so few open files that each worker takes %d connections instead"
            " of %d; raise the limit of open files (ulimit -n)",
            *(connections, settings.connections),
        )
    # Until the server takes signals itself, the end is an exit that leaves nothing behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with held, _run_folder() as folder:
        _share_metrics(workers, folder)
        stopping = folder / "stopping"
        settings = settings.model_copy(update={"stopping": stopping, "connections": connections})
        _prepare_database(settings.database)
        _say_where(settings, as_json)

        from granian.constants import HTTPModes, Interfaces, Loops
        from granian.http import HTTP1Settings

        from mersalg.serving.app import create_app
        from mersalg.serving.graceful_shutdown import DrainingServer

        server = DrainingServer(
            "mersalg.serving.app",
            address=settings.host.strip("[]"),
            port=settings.port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            workers=settings.workers,
            websockets=False,
            # Before it knows the version of HTTP, the server waits for ever.
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=round(settings.idle_seconds * 1000)),
            backlog=_BACKLOG,
            backpressure=connections,
            respawn_failed_workers=True,
            workers_kill_timeout=_STOP_SECONDS,
            log_dictconfig=lines,
            log_level="warning",  # type: ignore[arg-type]
        )
        server.drain_by(stopping, settings.drain_seconds)
        # The loader is called in each worker; nothing is looked up by name in the current folder.
        server.serve(target_loader=partial(create_app, settings), wrap_loader=False)


def hold_port(host: str, port: int) -> socket.socket:
    """Return a socket that holds `port`, or a free one where it is 0, until it is closed.

    Workers share their port by SO_REUSEPORT, so a second service could silently share it too and
    answer every other call: also while the first one is being started, and nobody listens yet.

    Raises ConfigError: the port is taken, or does not exist.
    """
    if not 0 <= port <= 65_535:
        raise ConfigError(f"port {port} does not exist")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(address)
            # Of several sockets that were bound at the same time only one can listen.
            first.listen()
            held = socket.socket(family, kind, protocol)
            for each in (first, held):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(first.getsockname())
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot listen on {host}, port {port}: {reason}") from error
    # From now on only sockets with SO_REUSEPORT can be bound beside it: those of the workers.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return held


@contextmanager
def _run_folder() -> Generator[Path, None, None]:
    """Yield a temporary folder of this service, and delete those of services that were killed."""
    import fcntl
    import shutil
    import tempfile

    def lock(folder: Path) -> int:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    for left in Path(tempfile.gettempdir()).glob("mersalg-run-*"):
        with suppress(OSError):  # it is in use, or another user's
            descriptor = lock(left)
            shutil.rmtree(left, ignore_errors=True)
            os.close(descriptor)
    made = Path(tempfile.mkdtemp(prefix=".mersalg-"))
    # The folder takes its name only under its lock, which workers have too, so that no other
    # service deletes it.
    folder, descriptor = made.with_name(f"mersalg-run-{made.name.partition('-')[2]}"), lock(made)
    made.rename(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _share_metrics(workers: int, folder: Path) -> None:
    """Have workers add their numbers up in a folder; one worker needs none."""
    # Spelled out: the module that names it reads it while it is imported.
    variable = "PROMETHEUS_MULTIPROC_DIR"
    if workers > 1 and not os.environ.get(variable):
        (folder / "metrics").mkdir()
        os.environ[variable] = str(folder / "metrics")


def _prepare_database(url: str) -> None:
    """Migrate the schema, so that what is wrong with the database is reported at once.

    If it is only away, the service starts all the same: decisions wait in the spool.
    """
    from mersalg.engine.storage.store import open_store

    try:
        with closing(open_store(url)) as store:
            store.migrate(serving=True)
    except StorageUnavailable as error:
        _log.warning("the database is away: %s", error.message)


def _say_where(settings: ServeSettings, as_json: bool) -> None:
    from mersalg.engine.registry import Registry

    try:
        version = Registry(settings.models).current()
    except ModelError as error:
        _log.warning(error.message)
        version = None
    host = f"[{settings.host}]" if ":" in settings.host.strip("[]") else settings.host
    url = f"http://{host}:{settings.port}"
    scopes = sorted({key.scope for key in settings.keys.keys})
    if settings.log_format == "json":
        _log.info("listening", extra={"fields": {"url": url, "model_version": version}})
    if as_json:
        console.print_json(
            {"url": url, "port": settings.port, "model_version": version, "key_scopes": scopes}
        )
        return
    if settings.log_format == "json":
        return
    console.out.print(
        f"[bold]Mersalg[/] listens at [link]{url}[/link] (dashboard: {url}/dashboard)"
    )
    console.out.print(f"model: {version or 'none published yet; mersalg train makes one'}")
    if scopes:
        console.out.print(f"keys: {', '.join(scopes)}")
    else:
        console.out.print("keys: none, so every call from this machine is allowed")
