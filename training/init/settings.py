"""Settings of a drafted shop file: found in the files, given by the user, or asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from mersalg.training.reading.sources import names_of

NONE = "-"
"""Answer to a question: there is none."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# Drafted by `mersalg init` from the files below. Each comment says why its line is so; look twice
# at those that begin with `guessed`. Paths are relative to this file.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Settings that the files do not show."""

    key: str
    """The setting, `section.name` or `section.columns.name`."""
    text: str
    likeliest: str | None
    """The answer that `--yes` takes; None where there is none."""
    why: str
    """What speaks for it, or what the files say."""
    choices: tuple[str, ...] = ()
    """All answers there are; any is taken where there are none."""


Ask = Callable[[Question], tuple[str, bool]]
"""Answers a question, and says whether the answer is a guess."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of one setting, and why; `guessed` where nobody said so."""

    value: Any
    why: str
    guessed: bool = False


@dataclass
class Draft:
    """The settings of a shop file by their dotted names."""

    given: Mapping[str, Any]
    """Settings that the user gave, which nothing else replaces."""
    ask: Ask
    settings: dict[str, Setting] = field(default_factory=dict)
    unused: dict[str, list[str]] = field(default_factory=dict)
    """Columns that no setting names, by section."""
    suggested: dict[str, Setting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings |= {key: Setting(value, "given") for key, value in self.given.items()}

    def value(self, key: str) -> Any:
        """Return a setting, None where it is not set."""
        return self.settings[key].value if key in self.settings else None

    def set(self, key: str, value: Any, why: str, *, guessed: bool = False) -> None:
        """Set what files show, unless the user gave something else."""
        if key not in self.given:
            self.settings[key] = Setting(value, why, guessed)

    def choose(
        self,
        key: str,
        text: str,
        likeliest: str | None,
        why: str,
        choices: Iterable[str] = (),
        *,
        means: Callable[[str], Any] = str,
    ) -> None:
        """Set what an answer `means`, unless it is set already; nothing where it is `-`."""
        if key not in self.settings:
            answer, guessed = self.ask(Question(key, text, likeliest, why, tuple(choices)))
            if answer != NONE:
                self.set(key, means(answer), why if guessed else "answered", guessed=guessed)

    def asked(
        self, key: str, text: str, likeliest: str, why: str, choices: Iterable[str]
    ) -> Setting:
        """Return the answer to a question, as of `choose`, whose key is no setting itself."""
        self.choose(key, text, likeliest, why, choices)
        return self.settings.pop(key)

    def used_columns(self, section: str) -> set[str]:
        """Return the columns that settings of a section name."""
        columns = {
            key: setting.value
            for key, setting in self.settings.items()
            if key.startswith(f"{section}.columns.")
        }
        return {*(self.value(f"{section}.not") or ()), *names_of(columns)}

    def to_toml(self) -> str:
        """Return the shop file."""
        sections: dict[str, list[str]] = {}
        # Sections that are not drafted here are given; a section comes before its columns.
        ranks = ("shop", "orders", "orders.columns", "catalogue", "catalogue.columns")
        listed = [(*key.rpartition("."), setting) for key, setting in self.settings.items()]
        listed.sort(key=lambda each: ranks.index(each[0]) if each[0] in ranks else len(ranks))
        for section, _, name, setting in listed:
            why = _CONTROLS.sub(" ", f"guessed: {setting.why}" if setting.guessed else setting.why)
            sections.setdefault(section, []).append(f"{name} = {_toml(setting.value)}  # {why}\n")
        for section, columns in self.unused.items():
            if columns:
                unused = _CONTROLS.sub(" ", ", ".join(map(repr, columns)))
                sections[f"{section}.columns"].append(f"# not used: {unused}\n")
        for key, setting in self.suggested.items():
            section, _, name = key.rpartition(".")
            line = f"# {name} = {_toml(setting.value)}  # {setting.why}\n"
            sections.setdefault(section, []).append(line)
        return _HEAD + "".join(
            f"\n[{section}]\n{''.join(lines)}" for section, lines in sections.items()
        )


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{key if _BARE.fullmatch(key) else _toml(key)} = {_toml(each)}"
            for key, each in value.items()
        )
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, date | time):
        return value.isoformat()
    # Strings, numbers and booleans are written as in JSON.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
