"""Versions: written whole or not at all, verified before use, published and rolled back."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine import registry as registry_module
from mersalg.engine.arrays import Ragged
from mersalg.engine.durable import sha256_of
from mersalg.engine.errors import ModelCorrupt, ModelError, ModelIncompatible, ModelNotFound
from mersalg.engine.model import Model
from mersalg.engine.model_check import self_check
from mersalg.engine.registry import Registry
from tests.support.models import tiny_model

FIELDS = {"counts": {"orders": 10_000, "items": np.int64(12)}, "summary": "a phone shop"}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def edit_manifest(registry: Registry, name: str, /, **fields: object) -> None:
    path = registry.root / name / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_model_comes_back_as_it_was(registry: Registry) -> None:
    model = tiny_model()
    version = registry.write(model, FIELDS)
    again = registry.load(version)
    assert again.version == version
    assert again.settings == model.settings
    before, after = model.arrays(), again.arrays()
    assert set(before) == set(after)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
        assert after[name].dtype == array.dtype


@pytest.mark.parametrize("mapped_bytes", [0, 10**9])
def test_loaded_arrays_are_read_only_and_large_ones_maps(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, mapped_bytes: int
) -> None:
    monkeypatch.setattr(registry_module, "_MAPPED_BYTES", mapped_bytes)
    rules = registry.load(registry.write(tiny_model(), {})).rules
    base: object = rules.n_joint
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    assert isinstance(base, mmap.mmap) == (mapped_bytes == 0)
    assert type(rules.n_joint) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        rules.n_joint[0] = 1


def test_the_manifest_tells_what_the_files_are(registry: Registry) -> None:
    version = registry.write(tiny_model(currency="SEK"), FIELDS)
    manifest = registry.manifest(version)
    assert manifest.counts == {"orders": 10_000, "items": 12}
    assert manifest.summary == "a phone shop"
    assert manifest.configuration["shop"]["currency"] == "SEK"
    folder = registry.root / version
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *manifest.files}
    assert all((folder / name).stat().st_size == e.size for name, e in manifest.files.items())
    assert version.startswith(manifest.created_at[:10].replace("-", ""))


def test_each_write_is_a_version_of_its_own(registry: Registry) -> None:
    written = [registry.write(tiny_model(), {}) for _ in range(3)]
    assert len(set(written)) == 3
    assert [manifest.version for manifest in registry.versions()] == sorted(written)
    assert registry.current() is None


def test_fields_nobody_knows_are_refused(registry: Registry) -> None:
    with pytest.raises(ValueError, match="no manifest fields: sha256"):
        registry.write(tiny_model(), {"sha256": "0"})


def test_an_empty_registry(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.current() is None
    with pytest.raises(ModelNotFound, match="no model is published"):
        registry.load()
    with pytest.raises(ModelNotFound, match="no earlier model"):
        registry.rollback()


def test_rollback_walks_back_through_what_was_published(registry: Registry) -> None:
    first, second, third = (registry.write(tiny_model(), {}) for _ in range(3))
    for version in (first, second, second, third):
        registry.publish(version)
    assert registry.load().version == third
    assert registry.rollback() == second
    assert registry.rollback() == first
    assert registry.current() == first
    with pytest.raises(ModelNotFound):
        registry.rollback()
    assert registry.current() == first


def test_rollback_passes_over_deleted_versions(registry: Registry) -> None:
    first, second, third = (registry.write(tiny_model(), {}) for _ in range(3))
    for version in (first, second, third):
        registry.publish(version)
    for path in (registry.root / second).iterdir():
        path.unlink()
    (registry.root / second).rmdir()
    assert registry.rollback() == first


def test_rollback_to_a_broken_version_changes_nothing(registry: Registry) -> None:
    first, second = (registry.write(tiny_model(), {}) for _ in range(2))
    registry.publish(first)
    registry.publish(second)
    (registry.root / first / "rules.consequent.npy").unlink()
    with pytest.raises(ModelCorrupt, match=r"rules\.consequent\.npy"):
        registry.rollback()
    assert registry.current() == second


@pytest.mark.parametrize(
    "name",
    ["catalogue.names.blob", "rules.n_joint", "affinity.repelled.values", "ladders.members.indptr"],
)
def test_damaged_files_are_named(registry: Registry, name: str) -> None:
    file = f"{name}.npy"
    missing, truncated, tampered = (registry.write(tiny_model(), {}) for _ in range(3))
    (registry.root / missing / file).unlink()
    cut = registry.root / truncated / file
    os.truncate(cut, cut.stat().st_size - 1)
    changed = registry.root / tampered / file
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    for version in (missing, truncated, tampered):
        with pytest.raises(ModelCorrupt, match=file):
            registry.load(version)
        with pytest.raises(ModelCorrupt, match=file):
            registry.publish(version)
    assert registry.current() is None


class _Payload:
    """Pickled code that leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._trace),)


def test_nothing_is_ever_unpickled(registry: Registry, tmp_path: Path) -> None:
    version, trace = registry.write(tiny_model(), {}), tmp_path / "trace"
    name = "rules.consequent.npy"
    path = registry.root / version / name
    np.save(path, np.array([_Payload(trace)], dtype=object), allow_pickle=True)
    with pytest.raises(ModelCorrupt, match=name):
        registry.load(version)
    # Not even where whoever wrote the file wrote a manifest for it, too.
    files = json.loads((registry.root / version / "manifest.json").read_text())["files"]
    files[name] = {"sha256": sha256_of(path), "size": path.stat().st_size}
    edit_manifest(registry, version, files=files)
    registry.verify(version)
    with pytest.raises(ModelCorrupt, match="allow_pickle"):
        registry.load(version)
    assert not trace.exists()


def test_whatever_reading_a_version_raises_is_corrupt(registry: Registry) -> None:
    """No exception of a library, known or unknown, passes through as itself."""
    good = registry.write(tiny_model(), {})
    registry.publish(good)
    version = registry.write(tiny_model(), {})
    path = registry.root / version / "ladders.tier.npy"
    header = path.read_bytes()[:128]
    for content in (
        b"cnumpy.core.gone\nOldArray\n.",  # a pickle
        header,  # no values
        header.replace(b"<i2", b"<i9"),  # a type that does not exist
        header.replace(b"<i2", b"|O "),  # an array of pickled objects
        header.replace(b"{", b"[").replace(b"}", b"]"),
        b"\x93NUMPY\x09\x00" + header[8:],  # a later format
        b"",
    ):
        path.write_bytes(content)
        entry = {"sha256": sha256_of(path), "size": len(content)}
        manifest = json.loads((registry.root / version / "manifest.json").read_text())
        edit_manifest(registry, version, files={**manifest["files"], path.name: entry})
        for read in (registry.load, registry.publish):
            with pytest.raises(ModelCorrupt, match=version):
                read(version)
    assert registry.current() == good


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"schema_version": "x"}', b"\xff"], ids=repr
)
def test_a_broken_manifest_is_corrupt(registry: Registry, content: bytes) -> None:
    good, bad = registry.write(tiny_model(), {}), registry.write(tiny_model(), {})
    (registry.root / bad / "manifest.json").write_bytes(content)
    with pytest.raises(ModelCorrupt, match="manifest"):
        registry.load(bad)
    assert [manifest.version for manifest in registry.versions()] == [good]
    (registry.root / bad / "manifest.json").unlink()
    with pytest.raises(ModelCorrupt, match="manifest"):
        registry.manifest(bad)


def test_a_manifest_cannot_name_files_elsewhere(registry: Registry, tmp_path: Path) -> None:
    version = registry.write(tiny_model(), {})
    entry = {"sha256": "0" * 64, "size": 1}
    for name in ("../evil.npy", str(tmp_path / "evil.npy"), "evil.txt"):
        edit_manifest(registry, version, files={name: entry})
        with pytest.raises(ModelCorrupt, match=r"unusable: .*key.*files"):
            registry.load(version)


def test_a_manifest_of_another_version_is_corrupt(registry: Registry) -> None:
    one, other = registry.write(tiny_model(), {}), registry.write(tiny_model(), {})
    edit_manifest(registry, one, version=other)
    with pytest.raises(ModelCorrupt, match="it is of version"):
        registry.load(one)


def test_a_newer_schema_is_incompatible(registry: Registry) -> None:
    version = registry.write(tiny_model(), {})
    edit_manifest(registry, version, schema_version=99, files={"new format": {}})
    with pytest.raises(ModelIncompatible, match="schema 99"):
        registry.load(version)


def test_settings_that_are_not_understood_are_incompatible(registry: Registry) -> None:
    version = registry.write(tiny_model(), {})
    settings = registry.manifest(version).configuration
    edit_manifest(registry, version, configuration={**settings, "offers": {"new_setting": 1}})
    with pytest.raises(ModelIncompatible, match="settings"):
        registry.load(version)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../models", "/etc", "20260101T000000Z-00000000", "current.json", "a/b"]
)
def test_version_names_lead_nowhere_else(registry: Registry, name: str) -> None:
    registry.write(tiny_model(), {})
    for use in (registry.load, registry.publish, registry.manifest, registry.verify):
        with pytest.raises(ModelNotFound):
            use(name)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 3, "history": []}'])
def test_a_broken_pointer_is_corrupt_not_empty(registry: Registry, content: str) -> None:
    version = registry.write(tiny_model(), {})
    (registry.root / "current.json").write_text(content)
    with pytest.raises(ModelCorrupt, match=r"current\.json"):
        registry.load()
    registry.publish(version)  # who names a version puts it right
    assert registry.load().version == version


def test_a_failing_write_leaves_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry_module, "sync_file", full)
    with pytest.raises(ModelError, match=r"cannot write to the folder of models .*: No space"):
        registry.write(tiny_model(), {})
    assert list(registry.root.iterdir()) == []


def test_a_writer_that_died_is_cleared_away_later(registry: Registry) -> None:
    registry.write(tiny_model(), {})
    old, fresh = registry.root / ".writing-old", registry.root / ".writing-fresh"
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "rules.consequent.npy").write_bytes(b"half")
    os.utime(old, (0, 0))
    registry.write(tiny_model(), {})
    assert (old.exists(), fresh.exists()) == (False, True)
    assert len(registry.versions()) == 2


def test_a_killed_writer_leaves_no_version(registry: Registry) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from mersalg.engine import registry\n"
        "from tests.support.models import tiny_model\n"
        "registry.sync_folder = lambda folder: os._exit(9)\n"
        "registry.Registry(pathlib.Path(sys.argv[1])).write(tiny_model(), {})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(registry.root)],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 9
    assert [path.name[:9] for path in registry.root.iterdir()] == [".writing-"]
    assert registry.versions() == []


def test_many_publishers_at_once_lose_nothing(registry: Registry) -> None:
    first, *versions = [registry.write(tiny_model(), {}) for _ in range(9)]
    registry.publish(first)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda version: Registry(registry.root).publish(version), versions))
    pointer = json.loads((registry.root / "current.json").read_text())
    assert {pointer["version"], *pointer["history"]} == {first, *versions}
    assert len(pointer["history"]) == 8
    walked = [registry.rollback() for _ in range(8)]
    assert walked[-1] == first


def _broken_models() -> dict[str, Model]:
    model = tiny_model()
    rules, affinity, ladders = model.rules, model.affinity, model.ladders
    catalogue = model.catalogue
    n_items = len(catalogue)
    far = np.full_like(rules.consequent, n_items)
    backwards, repelled = rules.antecedents.indptr[::-1].copy(), affinity.repelled
    return {
        "consequent": replace(model, rules=replace(rules, consequent=far)),
        "n_joint": replace(model, rules=replace(rules, n_joint=rules.n_joint[1:])),
        "antecedents": replace(
            model, rules=replace(rules, antecedents=Ragged(backwards, rules.antecedents.values))
        ),
        "impossible": replace(model, rules=replace(rules, n_joint=rules.n_antecedent + 1)),
        "n_added_of_item": replace(
            model, affinity=replace(affinity, n_added_of_item=affinity.n_added_of_item - 100_000)
        ),
        "repelled": replace(
            model,
            affinity=replace(affinity, repelled=Ragged(repelled.indptr, repelled.values + n_items)),
        ),
        "family_excludes": replace(
            model, affinity=replace(affinity, family_excludes=np.zeros(0, dtype=np.bool_))
        ),
        "tier": replace(model, ladders=replace(ladders, tier=ladders.tier[1:])),
        "ladders.family": replace(model, ladders=replace(ladders, family=ladders.family + 50)),
        "price_minor": replace(
            model, catalogue=replace(catalogue, price_minor=catalogue.price_minor[1:])
        ),
    }


@pytest.mark.parametrize("name", _broken_models())
def test_the_self_check_names_what_contradicts(registry: Registry, name: str) -> None:
    broken = _broken_models()[name]
    with pytest.raises(ModelCorrupt, match=name):
        self_check(broken)
    with pytest.raises(ModelCorrupt, match=name):
        registry.write(broken, {})
    assert registry.versions() == []


def test_a_sound_model_passes() -> None:
    self_check(tiny_model())
