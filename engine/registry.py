"""The folder of trained versions: write once, verify before use, publish and roll back."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from mersalg.engine import clock
from mersalg.engine.durable import sha256_of, sync_file, sync_folder
from mersalg.engine.errors import ModelCorrupt, ModelError, ModelIncompatible, ModelNotFound, shown
from mersalg.engine.manifest import (
    OPTIONAL,
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    parse_manifest,
    settings_to_json,
)

# What reads and writes arrays is imported where it is done: to list versions takes none of it.
if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mersalg.engine.model import Model

__all__ = ["Manifest", "Registry"]

_log = logging.getLogger("mersalg.model")

_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_UNFINISHED = ".writing-"
_ABANDONED_SECONDS = 86_400.0
_MAPPED_BYTES = 16_384


class _Pointer(msgspec.Struct):
    """The published version and those before it, oldest first."""

    version: str
    history: list[str]


class Registry:
    """Versions below `root`; safe for many processes that write, publish and load at once.

    Layout: `<version>/manifest.json` and one `.npy` file for each array of the model, never
    changed after the folder has its name; `current.json` names the published version.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, model: Model, manifest_fields: Mapping[str, Any]) -> str:
        """Store `model` as a new version, not yet published; returns the version's name.

        `manifest_fields` may hold any of `OPTIONAL`. Raise ModelCorrupt where the model contradicts
        itself, and nothing is written; ModelError where the folder cannot be written to.
        """
        from mersalg.engine.model_check import self_check

        self_check(model)
        unknown = set(manifest_fields) - set(OPTIONAL)
        if unknown:
            raise ValueError(f"no manifest fields: {', '.join(sorted(unknown))}")
        with self._writing():
            self.root.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()
            return self._write(model, manifest_fields)

    def _write(self, model: Model, manifest_fields: Mapping[str, Any]) -> str:
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
        try:
            version = self._fill(folder, model, manifest_fields)
            # mkdtemp is for the owner alone; a version may be read by the serving user.
            folder.chmod(0o755)
            target = self.root / version
            if target.exists():
                raise ModelError(f"model {version} exists already; versions never change")
            folder.rename(target)
            sync_folder(self.root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return version

    def _fill(self, folder: Path, model: Model, manifest_fields: Mapping[str, Any]) -> str:
        """Write every file of a version and flush it to disk."""
        import numpy as np

        files: dict[str, FileEntry] = {}
        for name, array in model.arrays().items():
            path = folder / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            sync_file(path)
            files[path.name] = FileEntry(sha256_of(path), path.stat().st_size)
        created = clock.to_datetime(clock.now())
        content = orjson.dumps(
            {name: entry.sha256 for name, entry in files.items()}, option=orjson.OPT_SORT_KEYS
        )
        # Two writers of one moment differ in the hashed process and folder.
        salt = f"{created.isoformat()} {folder.name}".encode()
        digest = hashlib.sha256(content + salt).hexdigest()[:8]
        version = f"{created:%Y%m%dT%H%M%SZ}-{digest}"
        manifest = Manifest(
            version=version,
            schema_version=SCHEMA_VERSION,
            created_at=created.isoformat(),
            files=files,
            configuration=settings_to_json(model.settings),
            **manifest_fields,
        )
        path = folder / "manifest.json"
        path.write_bytes(orjson.dumps(manifest.to_json(), option=orjson.OPT_INDENT_2) + b"\n")
        sync_file(path)
        sync_folder(folder)
        return version

    def _remove_abandoned(self) -> None:
        """Folders of writers that died more than a day ago."""
        for folder in self.root.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(folder)

    def versions(self) -> list[Manifest]:
        """Manifests of all readable versions, oldest first; unreadable ones are left out."""
        if not self.root.is_dir():
            return []
        manifests: list[Manifest] = []
        for folder in sorted(self.root.iterdir()):
            if _VERSION.fullmatch(folder.name):
                with contextlib.suppress(ModelError):
                    manifests.append(self.manifest(folder.name))
        return manifests

    def manifest(self, version: str) -> Manifest:
        """Raise ModelNotFound, ModelCorrupt or ModelIncompatible."""
        # Names come from requests and the command line: only a name of our own form is a path.
        if not _VERSION.fullmatch(version) or not (self.root / version).is_dir():
            raise ModelNotFound(f"there is no model {shown(version)} in {self.root}")
        try:
            raw = (self.root / version / "manifest.json").read_bytes()
        except OSError as error:
            raise ModelCorrupt(
                f"model {version}: cannot read manifest.json: {error.strerror}"
            ) from error
        return parse_manifest(raw, version)

    def verify(self, version: str) -> Manifest:
        """Return the manifest, as `manifest`, once every file has the size and hash that it states.

        Raise ModelCorrupt, which says what file is missing, truncated or changed.
        """
        manifest = self.manifest(version)
        for name, entry in manifest.files.items():
            path = self.root / version / name
            try:
                size = path.stat().st_size
                if size != entry.size:
                    raise ModelCorrupt(
                        f"model {version}: {name} has {size} bytes, not {entry.size}"
                    )
                if sha256_of(path) != entry.sha256:
                    raise ModelCorrupt(f"model {version}: {name} is not what was written (sha256)")
            except OSError as error:
                raise ModelCorrupt(
                    f"model {version}: cannot read {name}: {error.strerror}"
                ) from error
        return manifest

    def load(self, version: str | None = None) -> Model:
        """Return the published model, or `version`; arrays are read-only maps of the files.

        Customers who were erased since the version was written are not in it; while the list of
        them cannot be read, no customer is. Raise ModelNotFound where there is no such version or
        nothing is published; ModelCorrupt or ModelIncompatible as `verify`, where the arrays
        contradict each other, or reading them raises anything else.
        """
        from mersalg.engine.model_check import self_check

        wanted = version if version is not None else self.current()
        if wanted is None:
            raise ModelNotFound(f"no model is published in {self.root}")
        try:
            manifest = self.verify(wanted)
            if manifest.schema_version < SCHEMA_VERSION:
                raise ModelIncompatible(
                    f"model {wanted} was written by an older Mersalg, in files no longer read:"
                    f" run `mersalg models convert {wanted}`, or train again"
                )
            model = self._read(manifest)
            self_check(model)
        except ModelError:
            raise
        except Exception as error:
            # Files of another day or hand may hold anything, and a service must not end of it.
            why = f"{type(error).__name__}: {error}"
            raise ModelCorrupt(f"model {wanted} cannot be read: {why}") from error
        return model

    def _read(self, manifest: Manifest) -> Model:
        from mersalg.engine.forgotten import Forgotten
        from mersalg.engine.model import Model
        from mersalg.engine.storage.pseudonyms import customer_key

        settings = manifest.settings()
        arrays = {
            name.removesuffix(".npy"): self._array(manifest.version, name)
            for name in manifest.files
        }
        model = Model.of_arrays(manifest.version, settings, arrays)
        if model.customers is None:
            return model
        try:
            erased = Forgotten(self.root).hashes()
        except ModelError as error:
            _log.warning("model %s is read without customers: %s", manifest.version, error.message)
            return replace(model, customers=None)
        customers = model.customers.without(erased)
        return replace(model, customers=customers, customer_key=customer_key(self.root))

    def _array(self, version: str, name: str) -> NDArray[Any]:
        """Return the array of a file; a large one is mapped.

        A map keeps its file open, and most systems allow a process a thousand of these.
        """
        import numpy as np

        path = self.root / version / name
        try:
            mode = "r" if path.stat().st_size > _MAPPED_BYTES else None
            array = np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise ModelCorrupt(f"model {version}: cannot read {name}: {error}") from error
        array.flags.writeable = False
        return array

    def current(self) -> str | None:
        """Return the published version, None where there is none."""
        return self._pointer()[0]

    def earlier(self) -> list[str]:
        """Return what was published before, the latest first."""
        return self._pointer()[1][::-1]

    def publish(self, version: str) -> None:
        """Make `version` the one that is served, after loading it.

        Services look at it again where it was published already. Raise ModelError as `load`, or
        where the folder cannot be written to; nothing changes then.
        """
        self.load(version)
        with self._lock():
            try:
                current, history = self._pointer()
            except ModelCorrupt:
                current, history = None, []  # what is unusable is put right by naming a version
            if current is not None and current != version:
                history = [*history, current]
            self._point(version, history)

    def rollback(self) -> str:
        """Publish again what was published before; may be repeated. Returns that version.

        Versions whose folders were deleted since are passed over. Raise ModelNotFound where nothing
        was published before; else as `publish`.
        """
        if not self.root.is_dir():
            raise ModelNotFound(f"no earlier model was published: there is no folder {self.root}")
        with self._lock():
            _, history = self._pointer()
            while history and not (self.root / history[-1]).is_dir():
                history.pop()
            if not history:
                raise ModelNotFound(f"no earlier model was published in {self.root}")
            version = history.pop()
            self.load(version)
            self._point(version, history)
        return version

    def _pointer(self) -> tuple[str | None, list[str]]:
        """Return the published version and those before it, oldest first."""
        try:
            raw = (self.root / "current.json").read_bytes()
        except FileNotFoundError:
            return None, []
        except OSError as error:
            raise ModelCorrupt(f"cannot read {self.root}/current.json: {error.strerror}") from error
        try:
            pointer = msgspec.json.decode(raw, type=_Pointer)
        except (msgspec.DecodeError, ValueError) as error:
            raise ModelCorrupt(f"{self.root}/current.json is unusable: {error}") from error
        return pointer.version, pointer.history

    def _point(self, version: str, history: list[str]) -> None:
        handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self.root)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(_Pointer(version, history)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(self.root / "current.json")
            sync_folder(self.root)
        finally:
            Path(name).unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Generator[None, None, None]:
        """One publisher at a time, over all processes of this machine."""
        with self._writing():
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / ".lock").open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        """Raise ModelError where the operating system refuses to write to the folder."""
        try:
            yield
        except OSError as error:
            raise ModelError(
                f"cannot write to the folder of models {self.root}: {error.strerror}"
            ) from error
