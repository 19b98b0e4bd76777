"""`mersalg mine`: single-consequent association rules of a basket file."""

# pyarrow has no types for a checker.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mersalg.engine.errors import ConfigError
from mersalg.engine.mining_engines import EngineName
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import target

if TYPE_CHECKING:
    from mersalg.training.mining.protocol import Counted
    from mersalg.training.mining.search import MinedRules

_SHOWN = 15
_MAX = 2**53
_LONGEST = 1_000


def command(
    baskets: Annotated[str, typer.Argument(metavar="BASKETS")],
    query: Annotated[str | None, typer.Option(show_default=False)] = None,
    min_count: Annotated[int | None, typer.Option(min=1, max=_MAX, show_default=False)] = None,
    min_support: str | None = None,
    min_confidence: str | None = None,
    min_lift: str | None = None,
    max_q: Annotated[float, typer.Option(min=0.0, max=1.0)] = 0.05,
    all_rules: Annotated[bool, typer.Option("--all-rules")] = False,
    max_length: Annotated[int, typer.Option(min=2, max=_LONGEST)] = 3,
    max_basket_size: Annotated[
        int | None, typer.Option(min=1, max=_MAX, show_default=False)
    ] = None,
    engine: EngineName = "local",
    out: Annotated[str | None, typer.Option(metavar="<path>", show_default=False)] = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Mine single-consequent rules: antecedent items -> one item often bought beside them.

    Unless --all-rules is given, only rules that are more than chance are kept: the lower bound of
    lift is above 1 and the false discovery rate below --max-q. Give --min-count or --min-support,
    not both; with neither, 0.03% of the orders but at least 5.
    """
    from fractions import Fraction

    from mersalg.training import rule_files
    from mersalg.training.mining.rules import parse_threshold
    from mersalg.training.mining.search import count_source, rules_of

    one = Fraction(1)
    support, confidence, lift = (
        None if text is None else parse_threshold(text, name=name, at_most=at_most)
        for text, name, at_most in (
            (min_support, "--min-support", one),
            (min_confidence, "--min-confidence", one),
            (min_lift, "--min-lift", None),
        )
    )
    if min_count is not None and support is not None:
        raise ConfigError("give --min-count or --min-support, not both")
    path = None if out is None else Path(out)
    if path is not None:
        rule_files.check_out_path(path)
    started = time.perf_counter()
    with console.progress_bars(quiet=as_json) as progress:
        counted = count_source(
            baskets,
            query=query,
            engine=engine,
            min_count=min_count,
            min_support=support,
            max_length=max_length,
            max_basket_size=max_basket_size,
            progress=progress,
        )
        mined = rules_of(
            counted.itemsets,
            counted.fullness,
            max_q=max_q,
            all_rules=all_rules,
            min_confidence=confidence,
            min_lift=lift,
            progress=progress,
        )
        items = counted.items
        with progress.task("Writing rules"):
            order = rule_files.strongest_first(mined.table, items)
            table, p, q = mined.table.take(order), mined.p[order], mined.q[order]
            rules = cast("Any", rule_files.rules_to_arrow(table, p, q, items))
            if path is not None:
                with target(path) as file:
                    rule_files.write_rules(rules, file, path.suffix.lower())
    summary = _summary(counted, mined, engine)
    top: list[dict[str, Any]] = rules.slice(0, _SHOWN).to_pylist()
    summary |= {
        "max_basket_size": max_basket_size,
        "orders_oversized": counted.n_oversized,
        "out": None if path is None else str(path),
        "seconds_reading": counted.seconds_reading,
        "seconds": time.perf_counter() - started,
    }
    if as_json:
        console.print_json({**summary, "top": top})
    else:
        _print_people(summary, top, all_rules=all_rules)


def _summary(counted: Counted, mined: MinedRules, engine: str) -> dict[str, Any]:
    itemsets = mined.itemsets
    return {
        "engine": engine,
        "orders": itemsets.n_orders,
        "items": counted.n_items,
        "entries": counted.fullness.n_entries,
        "min_count": itemsets.min_count,
        "max_length": itemsets.max_length,
        "itemsets": {str(size): len(c) for size, c in enumerate(itemsets.counts, 1) if len(c)},
        "rules_mined": len(mined.every),
        "hypotheses": mined.n_tests,
        "rules": len(mined.table),
    }


def _print_people(summary: dict[str, Any], rules: list[dict[str, Any]], *, all_rules: bool) -> None:
    sets = " + ".join(f"{count:,} of {size}" for size, count in summary["itemsets"].items())
    console.out.print(
        f"{counted(summary['orders'], 'order')} of {counted(summary['items'], 'item')};"
        f" itemsets in at least {counted(summary['min_count'], 'order')}: {sets or 'none'}"
    )
    if summary["orders_oversized"]:
        console.out.print(
            f"left out: {counted(summary['orders_oversized'], 'order')} of more than"
            f" {counted(summary['max_basket_size'], 'item')}"
        )
    which = "kept" if all_rules else "kept as more than chance"
    console.out.print(
        f"[bold]{counted(summary['rules'], 'rule')}[/] {which}, of {summary['rules_mined']:,} mined"
        f" and {summary['hypotheses']:,} possible; {summary['seconds']:.1f} s"
    )
    if rules:
        measures = {"confidence": ("confidence", ".3f"), "lift": ("lift", ".2f")}
        measures |= {"at least": ("lift_lower", ".2f"), "q": ("q_value", ".2g")}
        console.print_rules(rules, measures)
    if summary["out"]:
        console.say(f"written to {summary['out']}")
