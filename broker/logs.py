# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What this node writes to its log: structlog over the standard library, closed lists of events and fields (promise P5).

- An event is one of `Event`; any other is a programmer's fault.
- A field is one of `FIELDS`, and its value must have that field's form; whatever else is given never reaches the log.
- An exception is logged as its class, our code and the place in the source; its text never, because database drivers and
  validators put values into it.
- A record of another library keeps its logger's name, level and place; its text is dropped for the same reason.
- One canonical line per request; of a message, that it was submitted, handed over, opened or sent again, and what went wrong.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any, TextIO

from broker.core.errors import BrokerError

__all__ = ["EVENTS", "FIELDS", "Event", "Log", "configure"]


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Let what is imported meanwhile find no such package, where nobody has loaded it yet."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # Python's way to say that it is not there
    try:
        yield
    finally:
        del sys.modules[package]


# structlog loads rich where it can, to draw tracebacks: we log none, and every node would pay 60 modules for it.
with _without("rich"):
    import structlog


class Event(StrEnum):
    """Every event name that this product logs."""

    NODE_READY = "node.ready"
    NODE_STOPPING = "node.stopping"
    NODE_STOPPED = "node.stopped"
    NODE_FAILED = "node.failed"
    LOOP_FAILED = "loop.failed"
    HTTP_REQUEST = "http.request"
    HTTP_FAILED = "http.failed"
    HTTP_MALFORMED = "http.malformed"
    ISSUER_KEYS_FETCHED = "issuer.keys-fetched"
    ISSUER_KEYS_FAILED = "issuer.keys-failed"
    MESSAGE_SUBMITTED = "message.submitted"
    MESSAGE_REFUSED = "message.refused"
    MESSAGE_QUARANTINED = "message.quarantined"
    MESSAGE_PARKED = "message.parked"
    CHUNK_DROPPED = "chunk.dropped"
    MESSAGE_UNDECIDED = "message.undecided"
    MESSAGE_HANDED_OVER = "message.handed-over"
    MESSAGE_OPENED = "message.opened"
    MESSAGE_RESENT = "message.resent"
    ATTENTION_RAISED = "attention.raised"
    STORE_FAILED = "store.failed"
    ADAPTER_STARTED = "adapter.started"
    ADAPTER_FAILED = "adapter.failed"
    ADAPTER_DELAYED = "adapter.delayed"
    LIBRARY = "library.record"  # another library's record, without its text


EVENTS: tuple[str, ...] = tuple(event.value for event in Event)

_CODE = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_ROUTE = re.compile(r"/[a-z0-9/._{}-]{0,100}|unmatched", re.ASCII)
_PLACE = re.compile(r"[A-Za-z0-9_.]{1,64}:[0-9]{1,6}", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}", re.ASCII)

_TEXT_FIELDS: dict[str, re.Pattern[str]] = {
    "act": _CODE,
    "adapter": _CODE,
    "authority": _CODE,
    "class": _NAME,
    "code": _CODE,
    "country": _COUNTRY,
    "digest": _HEX,
    "direction": _CODE,
    "fate": _CODE,
    "kind": _CODE,
    "logger": _DOTTED,
    "loop": _CODE,
    "message": _UUID,
    "method": re.compile(r"[A-Z]{1,16}", re.ASCII),
    "peer": _COUNTRY,
    "place": _PLACE,
    "procedure": _UUID,
    "reference": _HEX,
    "role": _CODE,
    "room": _DOTTED,
    "route": _ROUTE,
    "state": _CODE,
    "step": _CODE,
    "transport": _CODE,
    "type": _CODE,
    "version": _VERSION,
    "who_must_act": re.compile(r"[a-z]+(?: [a-z]+)?", re.ASCII),
}
_NUMBER_FIELDS = frozenset(
    {
        "attempts",
        "bytes",
        "count",
        "delay_seconds",
        "members",
        "ms",
        "port",
        "resends",
        "status",
        "total",
        "trust_version",
    }
)
_OWN_FIELDS = frozenset({"event", "level", "timestamp"})  # written by the processors below, never by a caller

FIELDS: frozenset[str] = _NUMBER_FIELDS | _TEXT_FIELDS.keys()

_MAX_TEXT = 128  # characters
_Fields = MutableMapping[str, Any]
_Processor = Callable[[Any, str, _Fields], Any]


class Log:
    """One room's way to the log."""

    def __init__(self, room: str) -> None:
        """Args:
        room: dotted name under ``trm``, e.g. ``api``.
        """
        self._room = room
        self._standard = logging.getLogger(f"trm.{room}")
        self._logger: Any = structlog.wrap_logger(
            self._standard,
            processors=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
        ).bind()  # here, or every line would do it anew

    def info(self, event: Event, /, **fields: object) -> None:
        """Log what is as it should be."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: Event, /, **fields: object) -> None:
        """Log what an operator may want to look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: Event, error: BaseException | None = None, /, **fields: object) -> None:
        """Log a failure; of the exception only its class, our code and the place."""
        described = {} if error is None else describe(error)
        self._write(logging.ERROR, event, {**described, **fields})

    def _write(self, level: int, event: Event, fields: Mapping[str, object]) -> None:
        name = _known(event)
        if self._standard.isEnabledFor(level):
            given = {field: value for field, value in fields.items() if field in FIELDS}  # a stray name must not raise
            self._logger.log(level, name, **{**given, "room": self._room})


def describe(error: BaseException) -> dict[str, str]:
    """Return what may be logged of an exception: class, our code, place."""
    fields = {"class": type(error).__name__}
    if isinstance(error, BrokerError):
        fields["code"] = error.code
    place = _place(error.__traceback__)
    return {**fields, "place": place} if place else fields


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send this process's log to the stream: JSON lines, or readable lines on a terminal.

    Raises:
        RuntimeError: no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise RuntimeError("no such log level")
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(readable=out.isatty()))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(max(number, logging.INFO))  # other libraries' debug records are without use when textless
    logging.getLogger("trm").setLevel(number)
    logging.getLogger("tuf").setLevel(max(number, logging.WARNING))  # a line per signature of every look
    logging.captureWarnings(True)  # a warning's text would otherwise reach standard error whole


def _formatter(*, readable: bool) -> logging.Formatter:
    last: _Processor = (
        structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer(sort_keys=True)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level, _textless],
        processors=[_only_allowed, structlog.processors.TimeStamper(fmt="iso", utc=True), last],
        keep_exc_info=False,
        keep_stack_info=False,
        use_get_message=False,  # the arguments of a foreign record are never rendered
    )


def _known(event: Event) -> str:
    """Raises: RuntimeError: the event is not in the closed list."""
    if not isinstance(event, Event):
        raise RuntimeError("not an event of the closed list")
    return event.value


def _textless(logger: Any, method: str, fields: _Fields) -> _Fields:
    """Reduce another library's record to where it came from; runs on foreign records only."""
    record: logging.LogRecord = fields["_record"]
    kept: _Fields = {
        "event": Event.LIBRARY.value,
        "level": fields.get("level", "info"),
        "logger": record.name,
        "place": f"{Path(record.pathname).name}:{record.lineno}",
        "_record": record,
        "_from_structlog": False,
    }
    error = record.exc_info[1] if record.exc_info else None
    return {**kept, **describe(error)} if error is not None else kept


def _only_allowed(logger: Any, method: str, fields: _Fields) -> _Fields:
    """Keep the fields of the closed list whose values have their form; nothing else can be logged."""
    if fields.get("event") not in EVENTS:  # a logger that went round `Log`
        fields["event"] = Event.LIBRARY.value
    return {name: fields[name] for name in fields if name in _OWN_FIELDS or _fits(name, fields[name])}


def _fits(name: str, value: object) -> bool:
    if name in _NUMBER_FIELDS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    pattern = _TEXT_FIELDS.get(name)
    return pattern is not None and isinstance(value, str) and len(value) <= _MAX_TEXT and bool(pattern.fullmatch(value))


def _place(trace: TracebackType | None) -> str | None:
    """Return file and line where the exception was raised, without the file's folder."""
    if trace is None:
        return None
    last = extract_tb(trace)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
