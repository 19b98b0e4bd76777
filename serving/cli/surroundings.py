"""Checks of `mersalg check` around the service: files, disk, clock, port, the running one."""

from __future__ import annotations

import http.client
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import orjson

from mersalg.engine.errors import ConfigError, MersalgError
from mersalg.engine.words import counted
from mersalg.serving.cli.check import Finding

if TYPE_CHECKING:
    from mersalg.serving.settings import ServeSettings

_LITTLE_BYTES = 1024**3
_TOO_LITTLE_BYTES = 100 * 1024**2
_SKEW_SECONDS = 5.0
_TIMEOUT_SECONDS = 5.0


def secret_files(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check who else may read or write the files that hold keys and secrets."""
    from mersalg.serving.settings import FILES, PREFIX

    for name in (f"{PREFIX}{file}" for file in FILES):
        path = Path(environment.get(name) or "")
        if not environment.get(name) or not path.is_file():
            continue  # one that is missing is reported where it is read
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o022:
            said = f"{name}: others may write {path}, and let themselves in"
            yield Finding("secret files", "failed", said, f"chmod go-w {path}")
        elif mode & 0o004:
            said = f"{name}: everybody on this machine may read {path}"
            yield Finding("secret files", "warning", said, f"chmod o-r {path}")
        else:
            yield Finding("secret files", "ok", f"{name}: {path} is closed to others")


def database_file(settings: ServeSettings) -> Iterator[Finding]:
    """Say who else may read the file of a SQLite database."""
    from mersalg.engine.storage.connection import parse_url

    url = parse_url(settings.database)
    path = Path(url.database or "")
    if url.get_backend_name() != "sqlite" or not path.is_file():
        return
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        said = f"others may read or write {path}, which holds all facts"
        yield Finding("database file", "warning", said, f"chmod go= {path}")


def spool(settings: ServeSettings) -> Iterator[Finding]:
    """Find what waits in the spool, and what was set aside in it."""
    from mersalg.serving.spool import Spool

    folder, limit = settings.spool_folder, settings.spool_limit_bytes
    if not limit:
        yield Finding("spool", "warning", "it is switched off", "set MERSALG_SPOOL_LIMIT_BYTES")
        return
    nearest = _nearest(folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield Finding("spool", "failed", f"{nearest} cannot be written", "name another folder")
        return
    if not folder.is_dir():
        yield Finding("spool", "ok", f"{folder} will be made when it is needed")
        return
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        said = f"others may look into {folder}, where facts name customers"
        yield Finding("spool", "warning", said, f"chmod go= {folder}")
    waiting = Spool(folder, limit)
    segments, size = waiting.segments(), waiting.size()
    said = f"{folder}: {counted(size, 'byte')} in {counted(len(segments), 'file')}"
    said += " waiting for the database"
    if size >= limit:
        advice = "it takes no more: bring the database back, and a running service replays it"
        yield Finding("spool", "failed", said, advice)
    elif segments:
        yield Finding("spool", "warning", said, "a running service replays them")
    else:
        yield Finding("spool", "ok", f"{folder}: nothing waits")
    aside = [each for each in folder.iterdir() if each.suffix not in (".spool", ".new")]
    if aside:
        said = f"{counted(len(aside), 'file')} set aside, such as {aside[0].name}"
        yield Finding("spool", "warning", said, "their facts were damaged or refused; look at them")


def disk(settings: ServeSettings) -> Iterator[Finding]:
    """Check how much room is left where something is written."""
    folders = {"models": settings.models, "spool": settings.spool_folder}
    prefix = "sqlite:///"
    if settings.database.startswith(prefix):
        folders["database"] = Path(settings.database.removeprefix(prefix)).parent
    for name, folder in folders.items():
        free = shutil.disk_usage(_nearest(folder)).free
        said = f"{name}: {free / 1024**3:,.1f} GiB are free beside {folder}"
        if free < _TOO_LITTLE_BYTES:
            yield Finding("disk", "failed", said, "make room: facts are soon lost")
        elif free < max(_LITTLE_BYTES, settings.spool_limit_bytes):
            yield Finding("disk", "warning", said, "make room")
        else:
            yield Finding("disk", "ok", said)


def clock(models: Path, database: str | None) -> Iterator[Finding]:
    """Check that this machine's clock agrees with the database's and is after the model's."""
    from mersalg.engine.registry import Registry

    now = time.time()
    off: list[str] = []
    version = None
    try:
        registry = Registry(models)
        version = registry.current()
        if version is not None:
            trained = datetime.fromisoformat(registry.manifest(version).created_at).timestamp()
            if trained > now + _SKEW_SECONDS:
                off.append(f"the model was trained {trained - now:,.0f} s from now")
    except MersalgError:
        pass  # reported where models are checked
    theirs = _database_clock(database) if database else None
    if theirs is not None and abs(theirs - time.time()) > _SKEW_SECONDS:
        off.append(f"the database's clock is {theirs - time.time():+,.0f} s from this one")
    if off:
        yield Finding("clock", "failed", "; ".join(off), "let both machines keep time by NTP")
    else:
        others = "the database's" if theirs is not None else "the model's" if version else ""
        compared = f"agrees with {others}" if others else "has nothing to be compared with yet"
        yield Finding("clock", "ok", f"this machine's clock {compared}")


def _database_clock(url: str) -> float | None:
    """Return the seconds since 1970 by PostgreSQL; None for SQLite, or if it is away."""
    from sqlalchemy import text

    from mersalg.engine.storage.connection import connect, parse_url, speaking

    try:
        parsed = parse_url(url)
        if parsed.get_backend_name() != "postgresql":
            return None
        engine = connect(parsed)
        try:
            with speaking(parsed), engine.connect() as connection:
                asked = text("select extract(epoch from clock_timestamp())")
                return float(connection.execute(asked).scalar_one())
        finally:
            engine.dispose()
    except MersalgError:
        return None  # reported where the database is checked


def port(settings: ServeSettings) -> Iterator[Finding]:
    """Check that the service could listen at its address."""
    from mersalg.serving.cli.serve import hold_port

    try:
        hold_port(settings.host, settings.port).close()
    except ConfigError as error:
        advice = "a service that runs is asked by --url; else choose another MERSALG_PORT"
        yield Finding("port", "warning", error.message, advice)
    else:
        yield Finding("port", "ok", f"{settings.host}, port {settings.port} is free")


def running_service(url: str) -> Iterator[Finding]:
    """Find what `/healthz` and `/readyz` of the service at `url` say."""
    try:
        health, _ = _get(url, "/healthz")
        status, said = _get(url, "/readyz")
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = f"{url} does not answer: {error}"
        yield Finding("service", "failed", said, "start it, or look at its log")
        return
    if health != 200:
        yield Finding("service", "failed", f"{url}: /healthz says {health}", "restart it")
    if status != 200:
        problem = cast("Mapping[str, Any]", said.get("error", {})).get("message", "not ready")
        yield Finding("service", "failed", f"{url} is not ready: {problem}", "see its log")
        return
    about = f"{url} serves {said.get('model_version')}, tracking {said.get('tracking')}"
    if said.get("status") == "ready":
        yield Finding("service", "ok", about)
        return
    reasons = [
        f"database {said['database']}" if said.get("database") != "up" else "",
        f"tracking {said['tracking']}" if said.get("tracking") != "recorded" else "",
        "offers are paused" if said.get("paused") else "",
        str(said.get("model_problem") or ""),
    ]
    named = "; ".join(filter(None, reasons))
    yield Finding("service", "warning", f"{url} is degraded: {named}", "see its log")


def _get(url: str, path: str) -> tuple[int, Mapping[str, Any]]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is no http address")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        answer = connection.getresponse()
        body: object = orjson.loads(answer.read())
        said = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        return answer.status, said
    finally:
        connection.close()


def _nearest(folder: Path) -> Path:
    """Return the folder, or the first of those above it that exists."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder
