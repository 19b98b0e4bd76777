"""The shape of the project: who may import whom, how long a module may be, what may be named."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Set
from graphlib import TopologicalSorter
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "training", "serving")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_modules_hold_one_idea() -> None:
    lengths = {_relative(path): _lines(path) for path in MODULES if path.name != "__init__.py"}
    del lengths["serving/client/mersalg_client/models.py"]  # written by `make client`
    assert {name: length for name, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.name == "__init__.py" and "client" not in path.parts],
    ids=_relative,
)
def test_packages_export_nothing(path: Path) -> None:
    # A re-export would load a whole room for one name of it, and the web process must stay light.
    body = ast.parse(path.read_text()).body
    assert len(body) == 1


def test_packages_name_modules_that_exist() -> None:
    guides = [
        path for path in MODULES if path.name == "__init__.py" and "serving" not in path.parts
    ]
    named = {
        path.parent / name
        for path in guides
        for name in re.findall(r"`([a-z_0-9]+)[`.]", path.read_text())
    }
    assert len(named) > 60
    assert [
        _relative(path) for path in sorted(named) if not [*path.parent.glob(path.name + "*")]
    ] == []


def test_no_room_is_named_after_nothing() -> None:
    nameless = {"utils", "helpers", "common", "manager", "misc"}
    assert [_relative(path) for path in MODULES if nameless & {*path.parts, path.stem}] == []


def _top_level_imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_commands_import_training_only_inside_themselves() -> None:
    commands = (ROOT / "serving" / "cli").glob("*.py")
    assert [_relative(path) for path in commands if "training" in _top_level_imports(path)] == []


def test_pydantic_stays_at_the_edges() -> None:
    allowed = {
        "engine/config.py",
        "engine/merchandising/sections.py",
        "engine/source_sections.py",
        "serving/settings.py",
        "serving/routes/reports.py",
    }
    users = {_relative(path) for path in MODULES if "pydantic" in _top_level_imports(path)}
    assert users <= allowed


def _module_name(path: Path) -> str:
    inside = _relative(path).removesuffix(".py").removesuffix("/__init__")
    return f"mersalg.{inside.replace('/', '.')}"


def _imports_of(path: Path, names: Set[str]) -> set[str]:
    """Return the modules that a file imports anywhere, for type checkers alone too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & names
            found |= inner or {node.module}
    return found & names


def test_no_modules_of_the_engine_import_each_other_in_a_circle() -> None:
    paths = {_module_name(path): path for path in MODULES if path.is_relative_to(ROOT / "engine")}
    imports = {name: _imports_of(path, paths.keys()) for name, path in paths.items()}
    assert "mersalg.engine.storage.tables" in imports["mersalg.engine.storage.facts"]
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


_HEAVY = ("pandas", "sklearn", "scipy", "mlxtend", "matplotlib", "pyarrow")


def test_the_domain_loads_without_the_training_libraries() -> None:
    names = [
        _relative(path).removesuffix(".py").replace("/", ".")
        for path in MODULES
        if path.parts[len(ROOT.parts)] == "engine"
        and path.name != "__init__.py"
        and "migrations" not in path.parts
        # Runs where the project is built, before it is installed.
        and path.name != "build_hook.py"
        # Roll-ups are Arrow tables, for processes that make reports and for `mersalg retention`.
        and "rollups" not in path.parts
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(sorted(set({_HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def _closure(name: str) -> set[str]:
    """Normalised names of the distributions that installing `name` without extras brings."""
    seen: set[str] = set()
    waiting = [(name, frozenset[str]())]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        current, extras = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", current).lower(), extras)
        if key in done:
            continue
        done.add(key)
        seen.add(key[0])
        for text in distribution(current).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({"extra": extra}) for extra in (extras or {""})
            ):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return seen


def test_the_command_runs_without_extras(tmp_path: Path) -> None:
    """What extras bring is hidden from a new process; every command must still load."""
    installed = _closure("mersalg")
    foreign = sorted(
        module
        for module, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & installed
        and not module.startswith("_")
        and module not in {*PACKAGES, "pip", "setuptools", "pkg_resources"}
    )
    assert {"httpx", "psycopg", "hypothesis", "pandas", "sklearn", "scipy"} <= set(foreign)
    code = (
        "import sys\n"
        f"hidden = set({foreign!r})\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in hidden:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "import mersalg.serving.app\n"
        "from mersalg.serving.cli.main import run\n"
        "sys.argv = ['mersalg', *sys.argv[1:]]\n"
        "run()"
    )

    def attempt(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = attempt("--help")
    assert done.returncode == 0, done.stderr
    assert "suggest" in done.stdout
    shop = tmp_path / "shop.toml"
    shop.write_text('[shop]\nname = "Bakery"\ncurrency = "NOK"\n[orders]\npath = "orders.csv"\n')
    done = attempt("train", "--config", str(shop), "--models", str(tmp_path / "models"))
    assert done.returncode == 2
    assert "pip install 'mersalg[train]'" in done.stderr
    done = attempt("demo", "--once", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'mersalg[demo]'" in done.stderr
    models = str(tmp_path / "models")
    done = attempt("check", "--config", str(shop), "--models", models, "--json")
    findings = {each["part"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["shop file"]["status"] == "ok"
    orders = findings["orders and catalogue"]
    assert (orders["status"], orders["advice"]) == ("warning", "pip install 'mersalg[train]'")


def _modules_loaded_by(arguments: list[str], folder: Path) -> set[str]:
    code = (
        "import sys\n"
        f"sys.argv = ['mersalg', *{arguments!r}]\n"
        "from mersalg.serving.cli.main import run\n"
        "try:\n"
        "    run()\n"
        "finally:\n"
        "    print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build" / "view")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines())


@pytest.mark.parametrize("arguments", [["mine", "--help"], ["models", "list"], ["--version"]])
def test_a_command_imports_no_other(arguments: list[str], tmp_path: Path) -> None:
    """Nor what reads arrays and tables, before it has something to read."""
    loaded = _modules_loaded_by(arguments, tmp_path)
    assert loaded.isdisjoint({"numpy", "pandas", "pyarrow", "scipy", "sqlalchemy", "rich.progress"})
    commands = {name for name in loaded if name.startswith("mersalg.serving.cli.")}
    assert commands.isdisjoint(
        {"mersalg.serving.cli.serve", "mersalg.serving.cli.events", "mersalg.serving.cli.report"}
    )
    if arguments[-1] == "--help":
        assert "pydantic" not in loaded


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_mining_to_a_file_loads_neither_pandas_nor_pydantic(kind: str, tmp_path: Path) -> None:
    """Either would take longer than to read a million lines."""
    (tmp_path / "baskets.dat").write_text("a b\nb c\na b c\n")
    out = tmp_path / f"rules.{kind}"
    options = ["--min-support", "0.1", "--all-rules", "--out", str(out), "--json"]
    loaded = _modules_loaded_by(["mine", "baskets.dat", *options], tmp_path)
    assert out.stat().st_size
    assert loaded.isdisjoint({"pandas", "pydantic"})


_STOPWATCHES = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time"}


def _reads_a_stopwatch(path: Path) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _STOPWATCHES)
        or (isinstance(node, ast.alias) and node.name in _STOPWATCHES)
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_no_test_measures_how_fast_anything_is() -> None:
    # Durations are measured by benchmarks, and waited for by `eventually`.
    allowed = {
        "tests/support/waiting.py",
        "tests/engine/storage/test_loads_cut_short.py",  # so that its kills fall all over a load
    }
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "benchmarks"]
    assert {_relative(path) for path in paths if _reads_a_stopwatch(path)} == allowed


def _tracked_texts() -> list[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    return [(_relative(path), path.read_text(errors="replace")) for path in files if path.is_file()]


def test_no_file_names_a_package_registry() -> None:
    # Spelled in parts, so that this file does not name one either.
    hosts = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted", r"registry\.npm" + "js")))
    assert [name for name, text in _tracked_texts() if hosts.search(text)] == []


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)
    ] == []


def test_the_guide_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:engine|training|serving|tests)/[\w/.*-]+)`", text))
    made = {name for name in named if "NAME" in name or "TAG" in name}
    assert len(named) > 15
    assert [name for name in sorted(named - made) if not list(ROOT.glob(name))] == []
