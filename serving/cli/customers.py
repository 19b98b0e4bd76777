"""`mersalg customers`: what is kept about one person, forgetting them, and new secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import Database, existing_store

group = typer.Typer(
    no_args_is_help=True, help="Export, erase or re-hash what is stored about customers."
)

Customer = Annotated[str, typer.Argument(help="The customer's id, as the shop knows it.")]

Spooled = Annotated[
    Path | None,
    typer.Option(
        envvar="MERSALG_SPOOL",
        help="Folder where facts of the service may wait; by default as for mersalg serve.",
        show_default=False,
    ),
]


@group.command("export")
def export(
    customer_id: Customer,
    database: Database,
    models: Path | None = None,
    spool: Spooled = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Print every fact of a customer, oldest first, one JSON object a line.

    Facts without a customer are included if their session is the customer's. A last line has what
    else an erasure removes: what the model remembers, names in roll-ups, and records set aside.
    """
    from mersalg.engine.customers import remembered
    from mersalg.engine.fact_bodies import pack
    from mersalg.engine.registry import Registry
    from mersalg.serving.audit import audited_here
    from mersalg.serving.settings import default_spool
    from mersalg.serving.spool import Spool

    aside = Spool(spool or default_spool(database), limit_bytes=0)
    with existing_store(database) as store:
        people = store.people
        people.check_secret()
        pseudonym = people.pseudonym_of(customer_id)
        with audited_here(store, "export customer", pseudonym):
            lines = [pack(fact).decode() for fact in people.facts(customer_id)]
            model = Registry(models).load() if models is not None else None
            named = aside.naming((customer_id, pseudonym))
            beside = {
                "remembered": remembered(customer_id, model),
                "units": people.units(customer_id),
                "set_aside": [path.read_text("utf-8", "replace") for path in named],
            }
    if as_json:
        facts = [orjson.loads(line) for line in lines]
        console.print_json({"customer_id": customer_id, "facts": facts, **beside})
        return
    if any(beside.values()):
        lines.append(orjson.dumps(beside).decode())
    for line in lines:
        console.say(line)


@group.command("erase")
def erase(
    customer_id: Customer,
    database: Database,
    models: Path | None = None,
    spool: Spooled = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Detach a customer from their facts and remove them from the models; no rate changes.

    Facts that wait in the spool of this machine are moved to the database first. A running service
    follows within seconds. Data that the shop itself keeps and trains on must be erased by the
    shop.
    """
    from mersalg.engine.customers import erase_everywhere
    from mersalg.serving.audit import audited_here
    from mersalg.serving.settings import default_spool
    from mersalg.serving.spool import Spool, settle

    waiting = Spool(spool or default_spool(database), limit_bytes=0)
    with existing_store(database, reads=False) as store:
        store.migrate()
        pseudonym = store.people.pseudonym_of(customer_id)
        with audited_here(store, "erase customer", pseudonym):
            settle(waiting, store)
            n_facts = erase_everywhere(customer_id, store, models)
            waiting.forget((customer_id, pseudonym))
    where = ", who is removed from the models" if models is not None else ""
    text = f"detached {counted(n_facts, 'fact')} from the customer{where}"
    console.answer(as_json, {"customer_id": customer_id, "facts": n_facts}, text)


@group.command("rotate")
def rotate(
    database: Database,
    present: Annotated[bool, typer.Option("--present")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Re-hash the stored ids of customers and sessions with a new secret.

    The new secret is added after the present one, which is still needed to hash incoming ids. Stop
    the service first. If interrupted, run it again with [bold]--present[/].
    """
    from mersalg.engine.storage.connection import parse_url
    from mersalg.engine.storage.pseudonyms import add_secret
    from mersalg.serving.audit import audited_here

    with existing_store(database, reads=False) as store:
        # Before anything is changed: the database is there and belongs to the present secret.
        if not present:
            store.migrate()
    path = None if present else add_secret(parse_url(database))
    with (
        existing_store(database, reads=False) as store,
        console.progress_bars(quiet=as_json) as progress,
        progress.task("Renewing hashes") as task,
        audited_here(store, "rotate secrets"),
    ):
        store.upgrade()
        n_facts = store.people.rotate(task.advance)
    file = str(path) if path is not None else None
    text = f"hashed {counted(n_facts, 'fact')} with the new secret"
    text += f", which is in {path}" if file else ""
    console.answer(as_json, {"facts": n_facts, "secret_file": file}, text)
