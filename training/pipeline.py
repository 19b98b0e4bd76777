"""`mersalg train` as a function: read, check, mine, fit, back-test, write, judge, publish."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from mersalg import __version__
from mersalg.engine import clock
from mersalg.engine.config import ShopConfig
from mersalg.engine.durable import sha256_of
from mersalg.engine.errors import DataError, ModelError
from mersalg.engine.forgotten import Forgotten
from mersalg.engine.live_items import LiveItem
from mersalg.engine.manifest import Manifest
from mersalg.engine.merchandising.targets import unknown_names
from mersalg.engine.progress import Progress
from mersalg.engine.registry import Registry
from mersalg.engine.storage.pseudonyms import customer_key
from mersalg.engine.words import counted
from mersalg.training.evaluation import BackTest, back_test
from mersalg.training.gate import Verdict, judge, offered_carts
from mersalg.training.mining.protocol import get_engine
from mersalg.training.model_fit import Fitted, fit_model, ladders_of
from mersalg.training.reading.dataset import Dataset, Sources, load_dataset, read_sources
from mersalg.training.reading.validation import shop_warnings
from mersalg.training.upsell.outcomes import with_outcomes
from mersalg.training.upsell.tiers import FormerCuts, former_cuts

BACK_TEST_SAMPLES = 5_000
_LIBRARIES = ("mersalg", "numpy", "pandas", "scipy", "scikit-learn", "mlxtend", "joblib")


def inputs_digest(config: ShopConfig, models: Path, engine: str, sources: Sources) -> str:
    """Return the sha256 of the shop file, the rows it names, the erased customers and the release.

    Files count by their bytes, rows of a database whatever their order.
    """
    rows: list[str] = []
    for section, source in ((config.orders, sources.orders), (config.catalogue, sources.catalogue)):
        if source is None or section is None:
            continue
        if section.url is None:
            rows += [f"{name} {sha256_of(Path(name))}" for name in source.files]
        else:
            hashes = pd.util.hash_pandas_object(
                source.table.to_pandas(), index=False, categorize=False
            )
            rows.append(hashlib.sha256(np.sort(hashes.to_numpy()).tobytes()).hexdigest())
    parts = {
        "items": {key: list(item.bodies()) for key, item in sources.items.items()},
        "shop_file": config.model_dump(mode="json"),
        "rows": rows,
        "forgotten": hashlib.sha256(Forgotten(models).hashes().tobytes()).hexdigest(),
        "engine": engine,
        "mersalg": __version__,
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Results of one training, and whether it was published."""

    version: str
    published: bool
    refused: bool
    """Whether the gate said no (and was not overruled)."""
    verdicts: list[Verdict]
    metrics: dict[str, Any]
    """Back-test results; empty where there was nothing to test on."""
    counts: dict[str, Any]
    """Orders, items, rules, ladders and the like."""
    data_range: dict[str, Any]
    quality: dict[str, Any]
    """Rows read, kept and left out by reason."""
    seconds: dict[str, float]
    """Time of each stage."""
    warnings: list[str] = field(default_factory=list[str])
    unchanged: bool = False
    """Whether the inputs are those of `version`, so that none was written."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        fields = asdict(self)
        return {"gate": fields.pop("verdicts"), **fields}


@dataclass(slots=True)
class _Stopwatch:
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def stage(self, name: str) -> Generator[None, None, None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)


def fit_chosen(tested: BackTest | None, *given: Any, **others: Any) -> Fitted:
    """Fit the model with the ranking that the back-test chose; the rest goes to `fit_model`."""
    choice = tested and tested.choice
    scorers, max_lift = (choice.scorers, choice.max_lift) if choice else (None, 1.0)
    return fit_model(*given, scorers=scorers, max_lift=max_lift, **others)


def train(
    config: ShopConfig,
    folder: Path,
    models: Path,
    *,
    engine: str | None = None,
    publish: bool = True,
    force: bool = False,
    if_changed: bool = False,
    items: Mapping[str, LiveItem] | None = None,
    outcomes: str | None = None,
    n_back_test: int = BACK_TEST_SAMPLES,
    progress: Progress,
) -> TrainingResult:
    """Train a version and publish it if it passes the gate.

    With `if_changed` nothing is written where shop file, rows and erased customers are those of the
    newest version; the result is then what its manifest says. Outcomes change without notice: a
    training that asks for them is never skipped.

    Parameters
    ----------
    folder
        That of the shop file; relative data paths start there.
    engine
        Name of the mining engine, else the shop file's.
    publish
        False writes and judges only.
    force
        Publish whatever the gate says.
    items
        What is stated of items since, as of a database's live catalogue, by id.
    outcomes
        A database whose shown upsell offers calibrate the scores of upgrades.
    n_back_test
        Maximum number of later baskets to rank for.

    Raises
    ------
    ConfigError, DataError
        The shop file or its data cannot serve.
    ModelError
        The version could not be written or read back.
    """
    mining = get_engine(engine or config.training.engine)
    watch, registry = _Stopwatch(), Registry(models)
    warnings = _removed_state(models)
    if config.training.remember is not None:
        warnings.append("[training] remember has no effect any more: no order lines are kept")
    with watch.stage("read"):
        sources = replace(read_sources(config, folder, progress), items=items or {})
        inputs = inputs_digest(config, models, mining.name, sources)
        if if_changed and outcomes is None:
            earlier = _unchanged(registry, config, inputs)
            if earlier is not None:
                return replace(earlier, warnings=[*earlier.warnings, *warnings])
        dataset = load_dataset(config, folder, progress, sources=sources)
    if not dataset.n_orders:
        raise DataError("no order is left to train on")
    with watch.stage("tiers"):
        ladders = ladders_of(dataset, progress, former=_former_cuts(registry))
    given = (dataset, config, mining, progress)
    with watch.stage("back_test"):
        tested = back_test(*given, n_samples=n_back_test, fitted_ladders=ladders)
    with watch.stage("fit"):
        fitted = fit_chosen(
            tested,
            *given,
            fitted_ladders=ladders,
            customer_key=customer_key(models),
            forgotten=Forgotten(models).hashes(),
        )
    if outcomes is not None:
        with watch.stage("outcomes"), progress.task("Fitting how offers were answered"):
            model, problems = with_outcomes(fitted.model, outcomes, registry)
            fitted = replace(fitted, model=model)
            warnings += problems
    with watch.stage("carts"), progress.task("Testing sample carts"):
        carts = offered_carts(fitted.model, dataset.baskets)
    counts, metrics = {**fitted.counts, **carts}, tested.to_json() if tested else {}
    quality = {**dataset.quality.to_json(), "prices": dict(ladders[1].examples or {})}
    outcome: dict[str, Any] = {
        "data_range": data_range(dataset),
        "counts": counts,
        "metrics": metrics,
    }
    with watch.stage("write"), progress.task("Writing the version"):
        name = registry.write(
            fitted.model,
            {
                **outcome,
                "libraries": _libraries(),
                "summary": _summary(counts, tested),
                # A row dated in the future becomes an order without any file having changed.
                "inputs": "" if "future_date" in dataset.quality.orders.left_out else inputs,
            },
        )
        verdicts = judge(
            registry.load(name),
            counts=counts,
            metrics=metrics,
            previous=_published(registry),
            settings=config.gate,
        )
        allowed = force or all(verdict.passed for verdict in verdicts)
        if publish and allowed:
            registry.publish(name)
    return TrainingResult(
        version=name,
        published=publish and allowed,
        refused=not allowed,
        verdicts=verdicts,
        quality=quality,
        seconds=watch.seconds,
        warnings=[*shop_warnings(dataset.catalogue, config, dataset.quality), *warnings],
        **outcome,
    )


def _unchanged(registry: Registry, config: ShopConfig, inputs: str) -> TrainingResult | None:
    """Return what the newest version says of itself; None unless it was trained on `inputs`."""
    versions = registry.versions()
    if not versions or versions[-1].inputs != inputs:
        return None
    manifest = versions[-1]
    try:
        model = registry.load(manifest.version)
    except ModelError:
        return None
    return TrainingResult(
        version=manifest.version,
        published=manifest.version == registry.current(),
        refused=False,
        verdicts=[],
        metrics=dict(manifest.metrics),
        counts=dict(manifest.counts),
        data_range=dict(manifest.data_range),
        quality={},
        seconds={},
        warnings=unknown_names(model.catalogue, config.offers),
        unchanged=True,
    )


def _removed_state(models: Path) -> list[str]:
    """Remove the order lines that earlier releases kept below the versions; return a message."""
    state = models / "state"
    if not state.is_dir():
        return []
    shutil.rmtree(state)
    return [f"{state} was removed: it held order lines, which are no longer kept"]


def _former_cuts(registry: Registry) -> FormerCuts:
    """Return where the published version cut its tiers; none where it cannot be read."""
    try:
        if registry.current() is None:
            return {}
        model = registry.load()
    except ModelError:
        return {}
    return former_cuts(model.catalogue, model.ladders)


def _published(registry: Registry) -> Manifest | None:
    """Return the published version's manifest; None where none can be read."""
    try:
        current = registry.current()
        return registry.manifest(current) if current is not None else None
    except ModelError:
        # What is broken cannot be a yardstick, and a new version is the way out.
        return None


def data_range(dataset: Dataset) -> dict[str, str | None]:
    """First and last moment of the orders, ISO 8601; nulls where the shop gives no time."""
    moments = dataset.ordered_at[dataset.ordered_at > 0]
    if not len(moments):
        return {"first": None, "last": None}
    return {"first": clock.to_iso(int(np.min(moments))), "last": clock.to_iso(int(np.max(moments)))}


def _libraries() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions


def _summary(counts: dict[str, Any], tested: BackTest | None) -> str:
    text = (
        f"{counted(counts['rules'], 'rule')} and"
        f" {counted(counts['tiers_ladders_with_steps'], 'ladder')}"
        f" from {counted(counts['orders'], 'order')} of {counted(counts['items'], 'item')}"
    )
    return f"{text}; {tested.reason}" if tested else text
