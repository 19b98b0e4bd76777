"""`mersalg items`, and a training that has what it knows."""

from __future__ import annotations

import json
from pathlib import Path

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.engine.registry import Registry
from mersalg.engine.storage.store import open_store
from mersalg.training.reading.dataset import load_dataset
from tests.support.commands import attempt, run
from tests.support.small_shop import write_small_shop

ITEMS = [
    {"item_id": "tea", "price": "31.50", "in_stock": False, "updated_at": "2026-01-01T00:00:00Z"},
    {"item_id": "tea", "name": "Green tea", "updated_at": "2026-01-02T00:00:00Z"},
    {"item_id": "cocoa", "family": "coffee", "price": "48.00", "attributes": {"size": "L"}},
]


def test_an_export_states_all_that_was_imported(tmp_path: Path, fresh_database: str) -> None:
    lines = tmp_path / "items.jsonl"
    lines.write_text("\n".join(map(json.dumps, ITEMS)))
    first = json.loads(run("items", "import", lines, "--database", fresh_database, "--json"))
    assert first == {"recorded": 3, "duplicates": 0, "rejected": []}
    assert "3 duplicates" not in run("items", "import", lines, "--database", fresh_database)
    exported = tmp_path / "exported.jsonl"
    run("items", "export", "--database", fresh_database, "--out", exported)
    other = tmp_path / "other.db"
    run("items", "import", exported, "--database", other)
    stores = [open_store(url, secret=b"s" * 32) for url in (fresh_database, str(other))]
    one, two = (store.live.since(-1).items for store in stores)
    assert one == two
    assert one["tea"].get("name") == "Green tea"
    for store in stores:
        store.close()


def test_lines_that_are_no_items_are_named_and_the_others_taken(tmp_path: Path) -> None:
    lines = tmp_path / "items.jsonl"
    lines.write_text('{"item_id": "a", "price": 1}\n{"price": 1}\n\nnothing\n')
    result = attempt("items", "import", lines, "--database", tmp_path / "facts.db", "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert (found["recorded"], [each["line"] for each in found["rejected"]]) == (1, [2, 4])


def test_a_training_has_what_is_stated_of_items(tmp_path: Path) -> None:
    shop, database = write_small_shop(tmp_path, n_orders=60), tmp_path / "facts.db"
    lines = tmp_path / "items.jsonl"
    lines.write_text("\n".join(map(json.dumps, ITEMS)))
    run("items", "import", lines, "--database", database)
    models = tmp_path / "models"
    arguments = ("train", "--config", shop, "--models", models, "--force", "--json")
    version = json.loads(run(*arguments, "--database", database))["version"]
    catalogue = Registry(models).load(version).catalogue
    tea, cocoa = catalogue.items.index_of("tea"), catalogue.items.index_of("cocoa")
    assert tea is not None
    assert cocoa is not None
    assert (catalogue.names[tea], catalogue.price_minor[tea]) == ("Green tea", 3150)
    assert (bool(catalogue.offerable[tea]), bool(catalogue.offerable[cocoa])) == (False, True)
    assert catalogue.family_names[catalogue.family[cocoa]] == "coffee"
    config = load_config(shop)
    trained_from_files = load_dataset(config, tmp_path, SilentProgress())
    assert "cocoa" not in trained_from_files.catalogue.items
    again = json.loads(run(*arguments, "--if-changed"))
    assert not again["unchanged"]
