# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What may reach the log."""

from __future__ import annotations

import io
import json
import logging
import warnings
from typing import Any

import pytest

from broker import logs
from broker.core.errors import StoreUnavailable
from broker.logs import EVENTS, FIELDS, Event, Log

CANARY = "Test-Maarika Näidis"
UUID = "0199d3c0-0000-7000-8000-000000000001"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged, line by line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_json_line(log_text: io.StringIO) -> None:
    """An event with its fields is one JSON line with time, level and room."""
    Log("flows").info(Event.MESSAGE_SUBMITTED, message=UUID, peer="FI", attempts=2, ms=1.5)

    (line,) = lines(log_text)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "message.submitted", "level": "info", "room": "flows", "message": UUID, "peer": "FI", "attempts": 2,
        "ms": 1.5,
    }  # fmt: skip


@pytest.mark.parametrize("event", ["message.submitted", "anything", None])
def test_unknown_event_is_a_programming_fault(log_text: io.StringIO, event: Any) -> None:
    """Only a member of the closed list is taken as an event, not even its text."""
    with pytest.raises(RuntimeError, match="closed list"):
        Log("flows").info(event)

    assert log_text.getvalue() == ""


@pytest.mark.parametrize("name", [*sorted(FIELDS), "name", "body", "exc_info", "stack_info", "event_text"])
def test_no_field_carries_a_name(log_text: io.StringIO, name: str) -> None:
    """A child's name in any field, allowed or not, is dropped and the line stays."""
    Log("flows").info(Event.MESSAGE_OPENED, **{name: CANARY})

    assert [line["event"] for line in lines(log_text)] == ["message.opened"]
    assert "Maarika" not in log_text.getvalue()


def test_values_of_another_kind_are_dropped(log_text: io.StringIO) -> None:
    """Containers, long texts, truth values and texts in number fields never reach the log."""
    Log("flows").info(Event.MESSAGE_OPENED, code=["a"], type="a" * 500, count=True, ms="12", message="not-an-id")

    (line,) = lines(log_text)
    assert set(line) == {"event", "level", "room", "timestamp"}


def test_exception_is_class_code_and_place(log_text: io.StringIO) -> None:
    """Of an exception its class, our code and the place are logged, its text and its cause's text are not."""
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise StoreUnavailable(f"insert failed for {CANARY}") from error
    except StoreUnavailable as error:
        Log("flows").error(Event.STORE_FAILED, error, reference="00ff00ff")

    (line,) = lines(log_text)
    assert line["class"] == "StoreUnavailable"
    assert line["code"] == "store-unavailable"
    assert line["place"].startswith("test_logs.py:")
    assert "Maarika" not in log_text.getvalue()


def test_other_libraries_lose_their_text(log_text: io.StringIO) -> None:
    """A record of another library keeps logger, level, class and place; message, arguments and traceback go."""
    logger = logging.getLogger("sqlalchemy.pool")
    try:
        raise ValueError(CANARY)
    except ValueError:
        logger.exception("row %s", CANARY)
    logger.warning(CANARY, extra={"child": CANARY}, stack_info=True)

    first, second = lines(log_text)
    assert (first["event"], first["logger"], first["class"]) == ("library.record", "sqlalchemy.pool", "ValueError")
    assert (second["level"], second["place"].split(":")[0]) == ("warning", "test_logs.py")
    assert "Maarika" not in log_text.getvalue()


def test_logger_that_goes_round_is_textless_too(log_text: io.StringIO) -> None:
    """A plain logger under our own name is treated like another library."""
    logging.getLogger("trm.flows").error("event %s", CANARY)

    assert [line["event"] for line in lines(log_text)] == ["library.record"]
    assert "Maarika" not in log_text.getvalue()


def test_warnings_lose_their_text(log_text: io.StringIO) -> None:
    """A Python warning becomes a textless line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # inside catch_warnings, which puts its own hook in place
        warnings.warn(CANARY, stacklevel=1)
        logging.captureWarnings(False)

    assert [line["logger"] for line in lines(log_text)] == ["py.warnings"]
    assert "Maarika" not in log_text.getvalue()


def test_level_is_respected() -> None:
    """Below the configured level nothing is written."""
    root, trm = logging.getLogger(), logging.getLogger("trm")
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    text = io.StringIO()
    try:
        logs.configure("warning", text)
        Log("flows").info(Event.NODE_READY)
        Log("flows").warning(Event.STORE_FAILED)
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = kept
        root.setLevel(level)
        trm.setLevel(logging.NOTSET)

    assert [line["event"] for line in lines(text)] == ["store.failed"]


def test_unknown_level_is_refused() -> None:
    """A level that does not exist is a programmer's fault, and the handlers stay."""
    before = logging.getLogger().handlers[:]

    with pytest.raises(RuntimeError):
        logs.configure("chatty", io.StringIO())

    assert logging.getLogger().handlers == before


def test_terminal_gets_readable_lines() -> None:
    """On a terminal the same fields come as a line for people."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    text = Terminal()
    try:
        logs.configure("INFO", text)
        Log("flows").info(Event.NODE_READY, country="EE", code=CANARY)
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = kept
        root.setLevel(level)

    assert "node.ready" in text.getvalue()
    assert "Maarika" not in text.getvalue()


def test_event_names_are_distinct_and_dotted() -> None:
    """Every event is `thing.what-happened`, once."""
    assert len(set(EVENTS)) == len(EVENTS)
    assert all(name.count(".") == 1 and name == name.lower() for name in EVENTS)
