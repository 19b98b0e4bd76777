"""`mersalg keys`: make, list and revoke the API keys of a key file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mersalg.serving.cli import console
from mersalg.serving.cli.resources import AuditDatabase, audited

group = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")

File = Annotated[
    Path,
    typer.Option("--file", envvar="MERSALG_KEYS_FILE", help="The key file that the service reads."),
]


@group.command("create")
def create(
    scope: str,
    file: File,
    name: str = "",
    database: AuditDatabase = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Create a random key and print it, only once: the file keeps only its hash.

    A running service accepts it within seconds. Several keys of a scope can be valid at once, so
    that a key can be replaced before it is revoked.
    """
    from mersalg.serving.keys import create_key

    with audited(database, "create key") as action:
        listed, key = create_key(file, scope, name)
        action.target = f"{listed.scope} {listed.id}"
    if as_json:
        console.print_json({**asdict(listed), "key": key, "file": str(file)})
        return
    typer.echo(key)
    console.note(
        f"key {listed.id} of scope {scope} is in {file}; keep it now, it is not shown again"
    )


@group.command("list")
def list_(file: File, as_json: console.JsonFlag = False) -> None:
    """List the keys of the file by id, scope and name; the keys themselves are not in it."""
    from mersalg.serving.keys import list_keys

    keys = list_keys(file)
    if as_json:
        console.print_json({"file": str(file), "keys": [asdict(key) for key in keys]})
        return
    if not keys:
        console.say(f"no keys in {file}")
        return
    rows = [(key.id, key.scope, key.name or "", key.created_at or "by hand") for key in keys]
    console.print_table(("|id", "|scope", "name", "|created"), rows)


@group.command("revoke")
def revoke(
    key_id: str, file: File, database: AuditDatabase = None, as_json: console.JsonFlag = False
) -> None:
    """Delete a key from the file; a running service refuses it within seconds."""
    from mersalg.serving.keys import revoke_key

    with audited(database, "revoke key", key_id) as action:
        revoked = revoke_key(file, key_id)
        action.target = f"{revoked.scope} {revoked.id}"
    text = f"key {revoked.id} of scope {revoked.scope} is revoked"
    console.answer(as_json, {"revoked": asdict(revoked), "file": str(file)}, text)
