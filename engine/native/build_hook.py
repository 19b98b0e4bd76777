"""Compiles the extension module while the project is installed or its wheel is built."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface[Any]):
    """Builds in the source tree for editable installs too; an sdist holds the sources alone."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what pip installs into the build environment."""
        return [] if self.target_name == "sdist" else _build(Path(self.root)).requirements()

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the library into the wheel."""
        if self.target_name == "sdist":
            return
        build = _build(Path(self.root))
        self.app.display_waiting("compiling the extension module, about half a minute ...")
        try:
            build.compile_library()
        except build.BuildError as error:
            self.app.abort(str(error))
        # A wheel with a compiled library fits only machines of this kind.
        build_data["infer_tag"], build_data["pure_python"] = True, False
        if version == "editable":
            build.link_package()
            return
        library = build.LIBRARY.relative_to(self.root).as_posix()
        for inside, source in {**build.PACKAGE, library: library}.items():
            build_data["force_include"][str(Path(self.root, source))] = f"mersalg/{inside}"


def _build(root: Path) -> ModuleType:
    """Load `mersalg.engine.native.build` by its path: the project is not installed yet."""
    spec = importlib.util.spec_from_file_location(
        "mersalg_native_build", root / "engine" / "native" / "build.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
