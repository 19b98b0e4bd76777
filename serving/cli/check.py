"""`mersalg check`: what works, what does not, what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mersalg.engine import errors
from mersalg.engine.words import counted
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.engine.progress import Progress

_LOOKED_AT = 1_000
"""Decisions among which a vouched one is looked for."""
_MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[bold red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `advice` says what to do where it is not ok."""

    part: str
    status: Literal["ok", "warning", "failed"]
    message: str
    advice: str = ""


def command(
    config: Path | None = None,
    models: console.ModelsOption = Path("models"),
    database: Annotated[str | None, typer.Option(envvar="MERSALG_DATABASE")] = None,
    url: str | None = None,
    alerts: Annotated[bool, typer.Option("--alerts")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Check the shop file and its data, models, database, keys, spool, disk, clock and port.

    Nothing is changed, and only --alerts sends a message. The exit code is 1 if something is broken
    (✗); what is not set up yet is a warning (!).
    """
    findings: list[Finding] = []
    with console.progress_bars(quiet=as_json) as progress:
        for part, advice, check in (
            ("shop file", "mend the file", _shop(config, progress)),
            ("alerts", "see [alerts] webhook in the shop file", _alerts(config) if alerts else ()),
            ("models", "mersalg models rollback, or mersalg train", _models(models)),
            ("database", "", _database(database, models)),
            ("keys and settings", "mend the variable", _keys()),
            ("surroundings", "", _surroundings(models, database, url)),
        ):
            try:
                findings.extend(check)
            except errors.MersalgError as error:
                findings.append(Finding(part, "failed", error.message, advice))
    failed = any(finding.status == "failed" for finding in findings)
    if as_json:
        console.print_json(
            {"ok": not failed, "findings": [asdict(finding) for finding in findings]}
        )
    else:
        for finding in findings:
            console.out.print(f"{_MARKS[finding.status]} [bold]{finding.part}[/]: ", end="")
            console.say(finding.message)
            if finding.advice:
                console.say(f"    {finding.advice}")
    if failed:
        raise typer.Exit(console.GATE_SAID_NO)


def _shop(config: Path | None, progress: Progress) -> Iterator[Finding]:
    from mersalg.engine.config import load_config

    path = config or Path("shop.toml")
    if config is None and not path.is_file():
        advice = "name it by --config, or write it by mersalg init FILES"
        yield Finding("shop file", "warning", "there is no shop.toml here", advice)
        return
    shop = load_config(path)
    yield Finding("shop file", "ok", f"{path}: {shop.shop.name}, money in {shop.shop.currency}")
    try:
        from mersalg.training.reading.dataset import load_dataset
        from mersalg.training.reading.validation import rows_left_out, shop_warnings
    except ModuleNotFoundError as error:
        message, advice = f"not read, for that needs {error.name}", "pip install 'mersalg[train]'"
        yield Finding("orders and catalogue", "warning", message, advice)
        return
    try:
        dataset = load_dataset(shop, path.parent, progress)
    except (errors.ConfigError, errors.DataError) as error:
        yield Finding("orders and catalogue", "failed", error.message, "mend the data or its path")
        return
    rows = dataset.quality.to_json()["orders"]
    lost = rows["rows_read"] - rows["rows_kept"]
    message = (
        f"{counted(dataset.n_orders, 'order')} of {counted(len(dataset.catalogue), 'item')};"
        f" {lost:,} of {counted(rows['rows_read'], 'row')} left out"
    )
    is_ok = dataset.n_orders and lost <= 0.05 * rows["rows_read"]
    status = "ok" if is_ok else "warning" if dataset.n_orders else "failed"
    advice = "" if is_ok else "mersalg train says why"
    yield Finding("orders and catalogue", status, message, advice)
    for line in rows_left_out(dataset.quality):
        yield Finding("rows", "warning", line, "mend the file, or do as the message says")
    for warning in shop_warnings(dataset.catalogue, shop, dataset.quality):
        yield Finding("shop", "warning", warning, "mersalg train would say the same")


def _alerts(config: Path | None) -> Iterator[Finding]:
    from mersalg.engine.config import load_config
    from mersalg.serving.alerts import Alert, send

    shop = load_config(config or Path("shop.toml"))
    if send(Alert("trial"), shop.shop, shop.alerts):
        yield Finding("alerts", "ok", "the webhook took a trial message")
    else:
        advice = 'set webhook = "https://..." in [alerts] of the shop file'
        yield Finding("alerts", "warning", "no webhook is set: alerts are sent to nobody", advice)


def _models(models: Path) -> Iterator[Finding]:
    from mersalg.engine.forgotten import Forgotten
    from mersalg.engine.registry import Registry
    from mersalg.serving.live_model import check_answers

    registry = Registry(models)
    try:
        model = registry.load()
        check_answers(model)
    except errors.ModelNotFound as error:
        if registry.versions():
            advice = "see mersalg models list, then mersalg models publish"
            yield Finding("models", "failed", error.message, advice)
        else:
            # Nothing is wrong: the service answers without offers until there is a version.
            message = f"no version was trained in {models} yet"
            yield Finding("models", "warning", message, "run mersalg train")
        return
    sizes = f"{counted(len(model.catalogue), 'item')}, {counted(len(model.rules), 'rule')}"
    yield Finding("models", "ok", f"{model.version} answers: {sizes}")
    try:
        Forgotten(models).hashes()
    except errors.ModelError as error:
        advice = "mend the line; until then models remember no customer, and none can be trained"
        yield Finding("models", "warning", error.message, advice)
    for version in sorted(manifest.version for manifest in registry.versions()):
        try:
            registry.load(version)
        except errors.ModelError as error:
            yield Finding("models", "warning", error.message, "it cannot be rolled back to")


def _database(url: str | None, models: Path) -> Iterator[Finding]:
    from mersalg.engine.experiment import PUBLIC_SALT
    from mersalg.engine.facts import is_vouched
    from mersalg.engine.storage.settings import SALT
    from mersalg.engine.storage.store import SCHEMA_VERSION, open_existing_store

    if url is None:
        yield Finding("database", "warning", "none was named", "name it by --database")
        return
    try:
        store = open_existing_store(url)
    except errors.ConfigError as error:
        yield Finding("database", "failed", error.message, "mend the URL")
        return
    try:
        store.ping()
        settings, ours = store.reports.settings(), store.people.secret_matches()
        decisions = store.facts.newest_decisions(_LOOKED_AT)
        salt = store.note(SALT)
    except errors.StorageUnavailable as error:
        yield Finding("database", "failed", error.message, "start it, or do as the message says")
        return
    except errors.ConfigError as error:
        yield Finding("database", "failed", error.message, "give the secret it was filled with")
        return
    finally:
        store.close()
    if ours is False:
        advice = "give that secret in MERSALG_SECRET or MERSALG_SECRET_FILE"
        message = "the ids in it were hashed under another secret"
        yield Finding("database", "failed", message, advice)
        return
    shop = settings.get("name")
    owner = f"of {shop}" if shop else "no shop has stored its settings in it yet"
    yield Finding("database", "ok", f"answers, schema {SCHEMA_VERSION}, {owner}")
    if decisions and not any(map(is_vouched, decisions)):
        effect = (
            "reports count none of them"
            if settings.get("count") == "vouched"
            else "anybody who reads the page's key can change the numbers"
        )
        message = f"none of the last {counted(len(decisions), 'decision')} is vouched for: {effect}"
        advice = "ask for suggestions from the shop's server, or send a checkout_token"
        yield Finding("vouched checkouts", "warning", message, advice)
    if salt == PUBLIC_SALT and not _sets_salt(models):
        yield Finding(
            "experiment",
            "warning",
            "arms are drawn with the salt of earlier versions, which is public: a person who knows"
            " ids of customers can compute who is held out",
            "set [experiment] salt in the shop file and train; every unit then gets a new arm",
        )


def _sets_salt(models: Path) -> bool:
    from mersalg.engine.registry import Registry

    registry = Registry(models)
    try:
        current = registry.current()
        if current is None:
            return False
        return registry.manifest(current).settings().experiment.salt_of(None) is not None
    except errors.ModelError:
        return False  # said where the models are looked at


def _surroundings(models: Path, database: str | None, url: str | None) -> Iterator[Finding]:
    from mersalg.serving.cli import surroundings
    from mersalg.serving.settings import load_settings

    yield from surroundings.secret_files(os.environ)
    try:
        settings = load_settings(os.environ, models=models, database=_as_url(database))
    except errors.ConfigError:
        pass  # reported where keys and settings are checked
    else:
        yield from surroundings.database_file(settings)
        yield from surroundings.spool(settings)
        yield from surroundings.disk(settings)
        if url is None:
            yield from surroundings.port(settings)
    yield from surroundings.clock(models, database)
    if url is not None:
        yield from surroundings.running_service(url)


def _as_url(database: str | None) -> str | None:
    return f"sqlite:///{database}" if database and "://" not in database else database


def _keys() -> Iterator[Finding]:
    from mersalg.serving.settings import load_settings

    settings = load_settings(os.environ)
    if not settings.keys:
        yield Finding(
            "keys and settings",
            "warning",
            "no API keys: callers on this machine may call everything, other callers nothing",
            "set MERSALG_KEYS or MERSALG_KEYS_FILE before listening on another address",
        )
        return
    yield Finding("keys and settings", "ok", "API keys are set")
    if settings.storefront_recall:
        yield Finding(
            "recall",
            "warning",
            "a call with a storefront key is answered by what the customer it names bought: anybody"
            " who guesses an id can read it",
            "send a checkout_token, and leave MERSALG_STOREFRONT_RECALL out",
        )
    else:
        message = (
            "calls with storefront keys use what a customer bought or dismissed only with a"
            " checkout_token (in earlier versions always, as MERSALG_STOREFRONT_RECALL=yes)"
        )
        yield Finding("recall", "ok", message)
