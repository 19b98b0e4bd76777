"""Where the kernels' sources and their library lie, and how the one is made of the other.

The build hook runs this too, before anything of the project is installed: the standard library
alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX') or '.so'}"
FLAGS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-Wall", "-Wextra")
_SECONDS = 120


def source_files() -> list[Path]:
    return sorted(FOLDER.glob("*.c"))


def fingerprint() -> str:
    """Of all sources: a library that was compiled from others is not used."""
    digest = hashlib.sha256()
    for path in sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compiler() -> str | None:
    """The C compiler of this machine, `CC` where that is set; None without one."""
    return shutil.which(os.environ.get("CC") or "cc")


def compile_library(target: Path = LIBRARY, flags: tuple[str, ...] = FLAGS) -> str | None:
    """Make the library; None where it was made, else why not."""
    found = compiler()
    if found is None:
        return "there is no C compiler (cc)"
    partial = target.with_suffix(f".{os.getpid()}")
    command = [found, *flags, f'-DSOURCES="{fingerprint()}"', "-o", str(partial)]
    command += [*map(str, source_files()), "-lm"]
    try:
        # Another process may be serving from the old one: it is replaced, never written over.
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603
        partial.replace(target)
    except subprocess.CalledProcessError as error:
        partial.unlink(missing_ok=True)
        return f"the C compiler failed: {error.stderr.strip()[:500]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        partial.unlink(missing_ok=True)
        return f"the C compiler failed: {error}"
    return None
