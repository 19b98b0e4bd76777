"""`mersalg init`: a sample shop to try Mersalg on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import ConfigError
from serving.cli import console
from serving.cli.whole_file import whole_file


def command(
    sample: Annotated[
        str, typer.Option(help="Write the files of a sample shop: bike-shop.", metavar="NAME")
    ],
    out: Annotated[
        Path, typer.Option(help="The shop file to write; data files are written beside it.")
    ] = Path("shop.toml"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there already.")
    ] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Write the files of a sample shop: orders that end yesterday, a catalogue, carts."""
    from training.sample_shop import sample_files

    contents = sample_files(sample, datetime.now(UTC))
    files = {out.with_name(name): content for name, content in contents.items()}
    files[out] = files.pop(out.with_name("shop.toml"))
    _write(files, force=force)
    if as_json:
        console.print_json({"shop_file": str(out), "files": sorted(map(str, files))})
        return
    for path in sorted(files):
        console.out.print(f"wrote {path}", markup=False, highlight=False)
    carts = out.with_name("carts.jsonl")
    console.out.print(
        f"next: mersalg train --config {out}\n"
        f"      mersalg suggest --carts {carts} --out suggestions.jsonl --no-holdout",
        markup=False,
        highlight=False,
    )


def _write(files: Mapping[Path, bytes], *, force: bool) -> None:
    """Write all files, or none where one of them would be replaced unasked."""
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        raise ConfigError(f"there already: {', '.join(there)}; --force replaces what is there")
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(content)
