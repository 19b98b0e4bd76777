"""`mersalg models`: which versions there are, which is served, and how to change that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mersalg.engine.errors import ModelCorrupt, ModelIncompatible, ModelNotFound
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import AuditDatabase, audited

if TYPE_CHECKING:
    from mersalg.engine.manifest import Manifest
    from mersalg.engine.model import Model
    from mersalg.engine.registry import Registry

group = typer.Typer(no_args_is_help=True, help="List, show, publish and roll back versions.")

Models = console.ModelsOption
_DEFAULT = Path("models")
_SHOWN = 10


@group.command("list")
def list_versions(models: Models = _DEFAULT, as_json: console.JsonFlag = False) -> None:
    """List all versions, oldest first; * marks the published one."""
    from mersalg.engine.registry import Registry

    registry = Registry(models)
    current, manifests = registry.current(), registry.versions()
    if as_json:
        entries = [
            {
                "version": manifest.version,
                "published": manifest.version == current,
                "created_at": manifest.created_at,
                "summary": manifest.summary,
                "metrics": manifest.metrics,
            }
            for manifest in manifests
        ]
        console.print_json({"current": current, "versions": entries})
        return
    if not manifests:
        console.say(f"no versions in {models}")
        return
    rows = [
        ("*" * (each.version == current), each.version, created, each.summary)
        for each in manifests
        if (created := each.created_at[:16].replace("T", " "))
    ]
    console.print_table(("", "|version", "|created", "summary"), rows)


@group.command("show")
def show(
    version: Annotated[str | None, typer.Argument(show_default=False)] = None,
    models: Models = _DEFAULT,
    stores: Annotated[bool, typer.Option("--stores")] = False,
    family: str | None = None,
    ladder: str | None = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Show what a version holds, whether its files are intact, and its strongest rules."""
    from mersalg.serving.cli import model_tables

    registry, wanted = _wanted(models, version)
    if family is not None or ladder is not None:
        _show_upsell(registry.load(wanted), family, ladder, as_json=as_json)
        return
    manifest = registry.manifest(wanted)
    problem: str | None = None
    rules: list[dict[str, Any]] = []
    by_store: dict[str, Any] | None = None
    try:
        model = registry.load(wanted)
        rules = _strongest_rules(model)
        by_store = model_tables.stores_as_json(model, _SHOWN) if stores else None
    except (ModelCorrupt, ModelIncompatible) as error:
        problem = error.message
    published = wanted == registry.current()
    if as_json:
        console.print_json(
            {
                "manifest": manifest.to_json(),
                "published": published,
                "verified": problem is None,
                "problem": problem,
                "rules": rules,
                "stores": by_store,
            }
        )
    else:
        _print_version(manifest, rules, problem, published=published)
        if stores and problem is None:
            model_tables.print_stores(by_store)
    if problem is not None:
        raise typer.Exit(console.BAD_INPUT)


def _wanted(models: Path, version: str | None) -> tuple[Registry, str]:
    """Return the versions, and the one that is named or else published."""
    from mersalg.engine.registry import Registry

    registry = Registry(models)
    wanted = version or registry.current()
    if wanted is None:
        raise ModelNotFound(f"no model is published in {models}")
    return registry, wanted


def _show_upsell(model: Model, family: str | None, ladder: str | None, *, as_json: bool) -> None:
    from mersalg.serving.cli import model_tables

    shown: dict[str, Any] = {}
    if family is not None:
        shown["family"] = model_tables.family_as_json(model, family)
    if ladder is not None:
        shown["ladder"] = model_tables.ladder_as_json(model, ladder)
    if as_json:
        console.print_json(shown if len(shown) > 1 else next(iter(shown.values())))
        return
    if "family" in shown:
        model_tables.print_family(shown["family"], model.catalogue.currency)
    if "ladder" in shown:
        model_tables.print_ladder(shown["ladder"])


@group.command("convert")
def convert(
    version: Annotated[str | None, typer.Argument(show_default=False)] = None,
    models: Models = _DEFAULT,
    as_json: console.JsonFlag = False,
) -> None:
    """Convert a version of Mersalg 0.1 to the present format; publish it if it was published.

    The old version stays as it is. Its files are pickles: convert only versions of your own.
    """
    from mersalg.training import model_schema_1

    registry, wanted = _wanted(models, version)
    is_published = wanted == registry.current()
    written = model_schema_1.convert(registry, wanted)
    if is_published:
        registry.publish(written)
    state = "and published it" if is_published else "not published"
    data = {"version": written, "published": is_published}
    console.answer(as_json, data, f"Wrote {wanted} as {written}, {state}.")


@group.command("publish")
def publish(
    version: str,
    models: Models = _DEFAULT,
    database: AuditDatabase = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Serve a version, after verifying its files; running services load it by themselves."""
    from mersalg.engine.registry import Registry

    with audited(database, "publish", version):
        Registry(models).publish(version)
    console.answer(as_json, {"current": version}, f"published {version}")


@group.command("rollback")
def rollback(
    models: Models = _DEFAULT, database: AuditDatabase = None, as_json: console.JsonFlag = False
) -> None:
    """Serve the version that was published before; may be repeated."""
    from mersalg.engine.registry import Registry

    with audited(database, "roll back") as action:
        action.target = Registry(models).rollback()
    console.answer(as_json, {"current": action.target}, f"published {action.target}")


def _strongest_rules(model: Model) -> list[dict[str, Any]]:
    import numpy as np

    table, names = model.rules, model.catalogue.names
    lower = table.lift_lower()
    best = np.argsort(-lower, kind="stable")[:_SHOWN].tolist()
    confidence = table.confidence()
    return [
        {
            "antecedent": [names[item] for item in table.antecedents[rule].tolist()],
            "consequent": names[int(table.consequent[rule])],
            "n_joint": int(table.n_joint[rule]),
            "confidence": float(confidence[rule]),
            "lift_lower": float(lower[rule]),
        }
        for rule in best
    ]


def _print_version(
    manifest: Manifest, rules: list[dict[str, Any]], problem: str | None, *, published: bool
) -> None:
    from rich.markup import escape

    from mersalg.serving.cli.evaluate import print_back_test

    out = console.out
    out.print(f"[bold]{manifest.version}[/]{' (published)' if published else ''}")
    out.print(f"created {manifest.created_at}; schema {manifest.schema_version}")
    if manifest.summary:
        out.print(escape(manifest.summary))
    span = manifest.data_range
    if span.get("first"):
        out.print(f"orders from {span['first']} to {span['last']}")
    size = sum(entry.size for entry in manifest.files.values())
    state = "[green]verified[/]" if problem is None else f"[bold red]unusable[/] {escape(problem)}"
    out.print(f"{counted(len(manifest.files), 'file')}, {size / 2**20:.1f} MiB: {state}")
    if manifest.metrics.get("hit_rate_at_10"):
        print_back_test(manifest.metrics)
    if rules:
        measures = {"confidence": ("confidence", ".3f"), "lift, at least": ("lift_lower", ".2f")}
        console.print_rules(rules, measures)
