"""What is installed has one import name, whatever folders are beside the user's script."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(folder: Path, *arguments: str, path: str = "") -> str:
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user who has packages of these names."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in ("engine", "training", "serving"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    (folder / "script.py").write_text(
        "import mersalg.engine.native.kernels, mersalg.serving.app, mersalg.training.api\n"
        "import mersalg\n"
        "print(len(mersalg.mine([['a', 'b']] * 20 + [['c']] * 20)), mersalg.__file__)\n"
    )
    return folder


def test_a_checkout_is_the_package_and_nothing_else(foreign: Path) -> None:
    assert _run(foreign, "script.py").startswith("2 ")
    assert "Usage: python -m mersalg" in _run(foreign, "-m", "mersalg", "--help")
    alone = foreign / "script.py"
    # Of the names of the folders, an editable install makes none importable.
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('engine', 'training')])"
    assert _run(alone.parents[1], "-P", "-c", code).strip() == "[None, None]"


def test_a_wheel_is_the_package_and_nothing_else(foreign: Path, tmp_path: Path) -> None:
    _run(ROOT, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), ".")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    names = {path.name for path in (tmp_path / "site").iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"mersalg"}
    assert not list((tmp_path / "site").glob("**/*.pyx"))
    found = _run(foreign, "script.py", path=str(tmp_path / "site"))
    assert found.split() == ["2", str(tmp_path / "site" / "mersalg" / "__init__.py")]
    assert "Usage: python -m mersalg" in _run(
        foreign, "-m", "mersalg", "mine", "--help", path=str(tmp_path / "site")
    )
