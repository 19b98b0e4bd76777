"""Write the hashes of all that the image installs: `python -m tests.support.image_hashes`.

pip resolves for the image's Python and both kinds of machine under `constraints.txt`; names,
versions and hashes are kept, addresses are not. To be run after a change of `constraints.txt`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "serving" / "deployment"
PYTHON = "3.12"
EXTRAS = ("postgres", "otel", "train")
MACHINES = ("x86_64", "aarch64")
_GLIBC = ("_2_28", "_2_27", "_2_24", "_2_17", "2014")
FILES = {"image.txt": "runs", "image-build.txt": "is built with"}


def requirements() -> dict[str, list[str]]:
    """File -> what is asked for: the project's own requirements, and those of its build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    runs = project["project"]["dependencies"] + [each for name in EXTRAS for each in extras[name]]
    cython = next(each for each in extras["dev"] if each.startswith("cython"))
    return {"image.txt": runs, "image-build.txt": [*project["build-system"]["requires"], cython]}


def resolved(wanted: list[str], machine: str) -> dict[str, str]:
    """`name==version` -> sha256 of the wheel that pip chooses."""
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--report", "-", "--only-binary", ":all:", "--target", target]
        command += ["--python-version", PYTHON, "--constraint", str(ROOT / "constraints.txt")]
        command += [f"--platform=manylinux{glibc}_{machine}" for glibc in _GLIBC]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {
        f"{each['metadata']['name']}=={each['metadata']['version']}": each["download_info"][
            "archive_info"
        ]["hashes"]["sha256"]
        for each in json.loads(done.stdout)["install"]
    }


def main() -> None:
    """Write both files."""
    for name, wanted in requirements().items():
        found: dict[str, set[str]] = {}
        for machine in MACHINES:
            for pin, sha256 in resolved(wanted, machine).items():
                found.setdefault(pin, set()).add(sha256)
        lines = [
            f"# What the image {FILES[name]}, written by tests/support/image_hashes.py.",
            *(
                " \\\n    ".join([pin, *(f"--hash=sha256:{each}" for each in sorted(hashes))])
                for pin, hashes in sorted(found.items(), key=lambda item: item[0].casefold())
            ),
        ]
        (FOLDER / name).write_text("\n".join(lines) + "\n")


def pins(name: str) -> dict[str, set[str]]:
    """`name==version` -> its hashes, of one of the files."""
    text = (FOLDER / name).read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {pin: set(hashes) for pin, *hashes in lines}


def normalized(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).casefold()


if __name__ == "__main__":
    main()
