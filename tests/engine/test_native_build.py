"""The build of the extension module: which compiler it takes, and what it says without one."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from mersalg.engine.native import build


def test_without_a_compiler_the_ziglang_wheel_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.requirements() == [build.CYTHON, "ziglang"]
    assert build.compiler()[1:] == ["-m", "ziglang", "cc"]
    (tmp_path / "cc").touch(mode=0o755)
    assert build.requirements() == [build.CYTHON]
    assert build.compiler() == ["cc"]
    monkeypatch.setenv("CC", "clang -m64")
    assert build.compiler() == ["clang", "-m64"]


def test_missing_headers_name_their_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    with pytest.raises(build.BuildError, match=r"install python3\.\d+-dev"):
        build.compile_library(tmp_path / "kernels.so")


def test_a_failed_compilation_leaves_the_old_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = tmp_path / "kernels.so"
    library.write_bytes(b"the old one")
    monkeypatch.setenv("CC", "false")
    with pytest.raises(build.BuildError, match="false"):
        build.compile_library(library)
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.so"]
    assert library.read_bytes() == b"the old one"
