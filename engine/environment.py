"""Values of the environment in texts of the shop file, so that secrets stay out of it."""

from __future__ import annotations

import os
import re

from mersalg.engine.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand_environment(text: str, setting: str) -> str:
    """Return a text with every `${NAME}` replaced by the environment variable.

    Raises
    ------
    ConfigError
        The variable is not set; the message names the `setting`.
    """

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise ConfigError(f"the environment variable {match[1]} (in {setting}) is not set")
        return value

    return _VARIABLE.sub(value_of, text)
