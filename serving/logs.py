"""Log lines for people or for machines, and which request and decision each line belongs to."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

import orjson

LogFormat = Literal["human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
decision_id: ContextVar[str | None] = ContextVar("decision_id", default=None)
_Ids = Callable[[], Iterable[object]]
_unspoken: ContextVar[_Ids | None] = ContextVar("unspoken", default=None)

_HIDDEN = "[hidden]"


def redact(ids: _Ids | None) -> None:
    """Keep these ids out of every line of the running request, whatever an error has to say.

    The ids are asked for only where there is a line.
    """
    _unspoken.set(ids)


class Belongs(logging.Filter):
    """Gives each record the ids of the request that is running where it is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids, and `ids` as a text; keep every record."""
        ids = {"request_id": request_id.get(), "decision_id": decision_id.get()}
        said = "".join(f" {name}={value}" for name, value in ids.items() if value is not None)
        record.__dict__ |= {**ids, "ids": said}
        return True


class HumanLines(logging.Formatter):
    """`time LEVEL logger [process] message`, then the ids where there are any."""

    converter = time.gmtime

    def __init__(self) -> None:
        line = "%(asctime)sZ %(levelname)s %(name)s [%(process)d] %(message)s%(ids)s"
        super().__init__(line, defaults={"ids": ""})

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without ids of people."""
        return _discreet(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line.

    It has `time` (UTC), `level`, `logger`, `process`, `message`, the ids where there are any,
    `exception` where there was one, and what was given as `extra={"fields": ...}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without ids of people."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": _discreet(record.getMessage()),
        }
        for name in ("request_id", "decision_id"):
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = _discreet(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def configuration(log_format: LogFormat, level: LogLevel) -> dict[str, object]:
    """Return the settings of `dictConfig`: all logs go to standard error, in one format."""
    formatter = (
        "mersalg.serving.logs.JsonLines"
        if log_format == "json"
        else "mersalg.serving.logs.HumanLines"
    )
    others = {"handlers": ["console"], "level": "WARNING", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"belongs": {"()": "mersalg.serving.logs.Belongs"}},
        "formatters": {
            "line": {"()": formatter},
            # Granian's formatter of access lines; it is off, but its configuration must be whole.
            "access": {"()": formatter},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["belongs"],
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["console"], "level": "WARNING"},
        "loggers": {
            "_granian": others,
            "granian.access": others,
            "mersalg": {"handlers": ["console"], "level": level.upper(), "propagate": False},
        },
    }


def _discreet(text: str) -> str:
    ids = _unspoken.get()
    for word in {str(each) for each in ids() if each} if ids is not None else ():
        if word in text:
            text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", _HIDDEN, text)
    return text
