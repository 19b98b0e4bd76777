"""Versions that Mersalg 0.1 wrote are converted, and answer as they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mersalg.engine.errors import ModelCorrupt, ModelIncompatible, ModelNotFound
from mersalg.engine.facts import CartLine
from mersalg.engine.registry import Registry
from mersalg.engine.slate import Recommenders, build_slate
from mersalg.training.model_schema_1 import convert
from tests.support.commands import attempt, run

OLD = "20261129T221240Z-3da05dbf"
WRITTEN = Path(__file__).parent / "version_of_schema_1"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    root = tmp_path / "models"
    shutil.copytree(WRITTEN, root)
    (root / "current.json").write_text(json.dumps({"version": OLD, "history": []}))
    return Registry(root)


def test_an_old_version_says_what_to_do(registry: Registry) -> None:
    assert [each.version for each in registry.versions()] == [OLD]
    for use in (registry.load, registry.publish):
        with pytest.raises(ModelIncompatible, match=f"mersalg models convert {OLD}"):
            use(OLD)
    shown = attempt("models", "show", "--json", "--models", registry.root)
    assert shown.exit_code == 2
    assert "models convert" in json.loads(shown.stdout)["problem"]


def one_phone(offers: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the offers without all phones but the first: since then a slate holds one of them."""
    phones = [item for item, _ in offers if item.startswith("phone-")]
    return [(item, score) for item, score in offers if item not in phones[1:]]


def test_a_converted_version_answers_as_it_did(registry: Registry) -> None:
    reported = json.loads(run("models", "convert", "--json", "--models", registry.root))
    assert reported["published"]
    model = registry.load()
    assert model.version == reported["version"] != OLD
    manifest = registry.manifest(model.version)
    assert manifest.summary == "a phone shop"
    assert manifest.counts == {"orders": 10_000}
    ids = model.catalogue.items
    for expected in json.loads((WRITTEN / "answers.json").read_text()):
        cart = [CartLine(item, 1) for item in expected["cart"]]
        slate = build_slate(Recommenders.prepare(model), cart, cross_sell=5, upsell=3)
        for kind in ("cross_sell", "upsell"):
            found = [(ids[each.item], float(each.score)) for each in getattr(slate, kind)]
            wanted = expected[kind] if kind == "upsell" else one_phone(expected[kind])
            if len(wanted) < len(expected[kind]):
                found = found[: len(wanted)]  # others have the places of the phones
            assert [item for item, _ in found] == [item for item, _ in wanted]
            assert [score for _, score in found] == pytest.approx(
                [score for _, score in wanted], rel=1e-5
            )
    assert model.customers is not None
    assert model.customers.row_of("kari", b"k" * 32) == 0
    assert model.customers.purchases.items[1].tolist() == [2]
    assert model.stores is not None
    assert list(model.stores.store_ids) == ["oslo"]
    assert model.stores.contradicted.stores[0].tolist() == [0]
    assert model.recency is not None
    assert model.ladders.moves is not None
    assert model.ladders.moves.between(0, 1) == 4
    assert list(model.catalogue.attributes) == ["storage_gb", "camera_mp", "features"]


def test_what_is_no_old_version_is_not_converted(registry: Registry) -> None:
    new = convert(registry, OLD)
    with pytest.raises(ModelNotFound, match="already"):
        convert(registry, new)
    file = registry.root / OLD / "rules.joblib"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelCorrupt, match=r"rules\.joblib"):
        convert(registry, OLD)
