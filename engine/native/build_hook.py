"""Compiles the kernels while the project is installed, where there is a C compiler."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface[Any]):
    """Without a compiler the project is installed all the same, and NumPy serves."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sources = _sources(Path(self.root))
        problem = sources.compile_library()
        if problem is not None:
            self.app.display_warning(f"the kernels were not compiled: {problem}")
            return
        if version != "editable":
            # A wheel with a compiled library fits only machines of this kind.
            build_data["infer_tag"], build_data["pure_python"] = True, False
            relative = sources.LIBRARY.relative_to(self.root).as_posix()
            build_data["force_include"][str(sources.LIBRARY)] = relative


def _sources(root: Path) -> ModuleType:
    """`engine.native.sources` by its path: the project is not installed yet."""
    path = root / "engine" / "native" / "sources.py"
    spec = importlib.util.spec_from_file_location("mersalg_kernel_sources", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
