"""What is installed has one import name, whatever folders are beside the user's script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

import mersalg
from tests.support.postgres import free_port

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
    assert not list((tmp_path / "site").glob("**/client"))
    assert (tmp_path / "site" / "mersalg" / "py.typed").is_file()  # for all packages inside
    found = _run(foreign, "script.py", path=str(tmp_path / "site"))
    assert found.split() == ["2", str(tmp_path / "site" / "mersalg" / "__init__.py")]
    assert "Usage: python -m mersalg" in _run(
        foreign, "-m", "mersalg", "mine", "--help", path=str(tmp_path / "site")
    )


def test_a_source_distribution_holds_all_code(tmp_path: Path) -> None:
    """Also from a checkout that has the links of an editable install."""
    backend = str(tmp_path / "backend")
    _run(ROOT, "-m", "pip", "install", "--quiet", "--target", backend, "hatchling==1.33.0")
    build = ["-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    _run(ROOT, *build, path=backend)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files", "engine", "training", "serving"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(tracked.stdout.split()) <= names


def test_the_client_is_a_package_of_its_own(foreign: Path, tmp_path: Path) -> None:
    """Its wheel and what httpx needs are all that its environment holds."""
    source = tmp_path / "source"  # pip builds in the folder of a project
    shutil.copytree(ROOT / "serving" / "client", source / "serving" / "client")
    (source / "engine").mkdir()
    shutil.copy(ROOT / "engine" / "_package.py", source / "engine")
    wheel = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path)]
    _run(ROOT, *wheel, str(source / "serving" / "client"))
    (built,) = tmp_path.glob("mersalg_client-*.whl")
    assert built.name.split("-")[1] == mersalg.__version__
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(site)
    for name in ("httpx", "httpcore", "h11", "anyio", "idna", "certifi", "typing_extensions.py"):
        (site / name).symlink_to(Path(httpx.__file__).parents[1] / name)
    program = foreign / "client.py"
    program.write_text(
        "import asyncio, mersalg_client\n"
        "cart = {'checkout_id': 'k', 'lines': [{'item_id': 'a'}]}\n"
        f"url = 'http://127.0.0.1:{free_port()}'\n"
        "with mersalg_client.Client(url) as client:\n"
        "    print(client.suggest_or_nothing(cart)['offers'], mersalg_client.__file__)\n"
        "async def ask():\n"
        "    async with mersalg_client.AsyncClient(url) as client:\n"
        "        return await client.suggest_or_nothing(cart)\n"
        "print(asyncio.run(ask())['tracking'])\n"
    )
    done = subprocess.run(
        [home / "bin" / "python", program.name],
        cwd=foreign,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["[]", str(site / "mersalg_client" / "__init__.py"), "off"]
    assert (site / "mersalg_client" / "py.typed").is_file()
