"""What the checks of `mersalg check` find."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `advice` says what to do where it is not ok."""

    part: str
    status: Literal["ok", "warning", "failed"]
    message: str
    advice: str = ""
