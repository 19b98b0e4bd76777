"""The signals that fitted networks weigh: name -> what it says, in the order of `signals.toml`."""

from __future__ import annotations

from typing import Final

from mersalg.engine.words import read_toml

_FILE: dict[str, dict[str, str]] = read_toml("mersalg.engine.native", "signals.toml")
SUBJECTS: Final = _FILE["subjects"]
"""What each table describes."""
TABLES: Final = {name: _FILE[name] for name in SUBJECTS}
"""By the first word of the struct's name."""
COMPLEMENT: Final = TABLES["complement"]
QUESTION: Final = TABLES["question"]
SIBLING: Final = TABLES["sibling"]
