"""`mersalg evaluate`: the back-test, at length, without writing a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.config import EngineName
from serving.cli import console

_RANKERS = {
    "mersalg": "Mersalg",
    "plain_rules": "plain rules (best confidence)",
    "popularity": "popularity",
}


def command(
    config: Annotated[Path, typer.Option(help="The shop file.")] = Path("shop.toml"),
    samples: Annotated[int, typer.Option(min=1, help="Test baskets at most.")] = 20_000,
    engine: Annotated[
        EngineName | None, typer.Option(help="Mining engine, else the shop file's.")
    ] = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Back-test on the last orders: hide one item of each basket, see who finds it in ten.

    Compares Mersalg with plain rules and with popularity, on the same hidden items.
    """
    from engine.config import load_config
    from engine.errors import DataError
    from training.dataset import load_dataset
    from training.evaluation import back_test
    from training.mining.protocol import get_engine

    shop = load_config(config)
    mining = get_engine(engine or shop.training.engine)
    with console.progress_bars(quiet=as_json) as progress:
        dataset = load_dataset(shop, config.parent, progress)
        tested = back_test(dataset, shop, mining, progress, n_samples=samples)
    if tested is None:
        raise DataError("too few orders to hold some out for a back-test", file=str(config))
    if as_json:
        console.print_json(tested.to_json())
    else:
        print_back_test(tested.to_json())


def print_back_test(metrics: Mapping[str, Any]) -> None:
    """The table of hit rates, and what it was measured on."""
    from rich.table import Table

    rates = metrics["hit_rate_at_10"]
    n_tested = rates["mersalg"]["n"]
    if not n_tested:
        console.out.print("back-test: no later order holds two items known from before")
        return
    table = Table(title=f"Hidden item among the first ten, {n_tested:,} later orders")
    table.add_column("ranking")
    table.add_column("HitRate@10", justify="right")
    table.add_column("± 1 s.e.", justify="right")
    for name, title in _RANKERS.items():
        rate = rates[name]
        table.add_row(title, f"{rate['value']:.4f}", f"{rate['standard_error']:.4f}")
    console.out.print(table)
    kept_apart = metrics["hidden_kept_apart"] / n_tested
    if kept_apart >= 0.005:
        console.out.print(
            f"{kept_apart:.0%} of the hidden items keep apart from"
            " something in their cart: Mersalg offers them only where something else calls for them"
        )
    line = f"{metrics['train_orders']:,} orders before, {metrics['test_orders']:,} after the split"
    if metrics["upsell_coverage"] is not None:
        line += f"; a dearer version can be offered for {metrics['upsell_coverage']:.0%} of items"
    console.out.print(line)
