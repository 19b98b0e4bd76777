"""The programs that can mine; all agree to the integer."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["local", "mlxtend", "spark"]
