"""Compiles the extension module: Cython to C, and that to a library.

The build hook runs this while the project is installed; after an edit of its sources
`make native` does. Only the standard library and Cython are needed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
FOLDERS = ("engine", "training", "serving")
MODULE = "mersalg.engine.native.kernels"
LIBRARY = FOLDER / f"kernels{sysconfig.get_config_var('EXT_SUFFIX') or '.so'}"
# Fixed, not those that Python was built with, so that every machine compiles the same code.
# -O3 unrolls the counting loops of mining, which -O2 leaves as they are.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-g0", "-Wall", "-DNDEBUG")
CYTHON = "cython>=3.1,<4"
_SECONDS = 600


class BuildError(Exception):
    """The extension cannot be compiled; the message says what is missing."""


def compiler() -> list[str]:
    """Return the command of the C compiler: `CC`, else cc, else the one of the ziglang wheel."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    return ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]


def requirements() -> list[str]:
    """Return what has to be installed to compile here."""
    return [CYTHON, *(["ziglang"] if "ziglang" in compiler() else [])]


def compile_library(target: Path = LIBRARY, flags: tuple[str, ...] = FLAGS) -> None:
    """Write the extension module to `target`.

    Raise BuildError where Python's headers are missing, or Cython or the C compiler fails.
    """
    headers = sysconfig.get_path("include")
    if not (Path(headers) / "Python.h").is_file():
        version = "{}.{}".format(*sys.version_info)
        raise BuildError(
            f"Python's C headers are missing ({headers}/Python.h):"
            f" on Debian and Ubuntu install python{version}-dev or python3-dev"
        )
    with tempfile.TemporaryDirectory(prefix="mersalg-build-") as folder:
        generated = Path(folder) / "kernels.c"
        (Path(folder) / "signals.pxi").write_text(_signal_structs(), encoding="utf-8")
        cython = [sys.executable, "-P", "-m", "cython", "-3", "--module-name", MODULE, "-I", folder]
        _run([*cython, "-o", str(generated), "kernels.pyx"])
        # Processes that run the old module keep it: the file is replaced, never written over.
        partial = target.with_suffix(f".{os.getpid()}")
        command = [*compiler(), *flags, f"-ffile-prefix-map={folder}=.", "-I.", f"-I{headers}"]
        if sys.platform == "darwin":
            command += ["-undefined", "dynamic_lookup"]
        try:
            _run([*command, "-o", str(partial), str(generated), "-lm"])
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _signal_structs() -> str:
    """Return Cython structs of the tables of `signals.toml`, a float for each signal in order."""
    lines: list[str] = []
    tables = tomllib.loads((FOLDER / "signals.toml").read_text("utf-8"))
    for name in tables["subjects"]:
        table = tables[name]
        lines += [f"cdef enum:\n    N_{name.upper()}_SIGNALS = {len(table)}"]
        lines += [f"cdef struct {name.title()}Signals:\n    float {', '.join(table)}"]
    return "\n".join(lines) + "\n"


PACKAGE = {
    "__init__.py": "engine/_package.py",
    "__main__.py": "serving/cli/__main__.py",
    "py.typed": "engine/py.typed",
}
"""Files of `mersalg` itself, and where a checkout has them."""


def link_package() -> None:
    """Make `build/view/mersalg`, links by which a checkout is the package that a wheel holds."""
    view = ROOT / "build" / "view" / "mersalg"
    view.mkdir(parents=True, exist_ok=True)
    for name, target in {**PACKAGE, **{each: each for each in FOLDERS}}.items():
        (view / name).unlink(missing_ok=True)
        (view / name).symlink_to(Path("../../..") / target)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(  # noqa: S603
            command, cwd=FOLDER, check=True, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(command[:3])} failed:\n{error.stderr[-2000:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{' '.join(command[:3])} failed: {error}") from error


if __name__ == "__main__":
    try:
        link_package()
        compile_library()
    except BuildError as error:
        raise SystemExit(str(error)) from error
