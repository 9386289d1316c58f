# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What adapters are given and how they are found."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import broker.adapter_api
from broker.adapter_api import (
    ENTRY_POINT_GROUP,
    AdapterFailed,
    Manifest,
    Option,
    SettingsInvalid,
    discover,
    inbound_message,
    problem,
)
from broker.core.errors import SchemaInvalid, StoreUnavailable
from broker.testing.adapter_node import CANARY, sample_message

MANIFEST = Manifest(
    name="ours",
    version="1.0",
    description="A test's adapter.",
    options={
        "folder": Option(meaning="Where.", kind=str),
        "seconds": Option(meaning="How often.", kind=int, unit="seconds", default=2, minimum=1),
        "loud": Option(meaning="Whether.", kind=bool, default=False),
    },
    retention="none",
    personal_data_at_rest="none",
)


def install(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Let these entry points be the installed ones."""
    found = [EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP) for name, value in points]
    monkeypatch.setattr(broker.adapter_api, "entry_points", lambda group: found if group == ENTRY_POINT_GROUP else [])


def test_file_drop_is_installed(tmp_path: Path) -> None:
    """The shipped adapter is found by its entry point and made from its options."""
    adapter = discover()["filedrop"]({"folder": str(tmp_path)})

    assert adapter.manifest.name == "filedrop"


def test_broken_adapter_harms_nobody_until_it_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that cannot be imported is AdapterFailed when it is asked for; the others work."""
    install(
        monkeypatch,
        ("gone", "no_such_package_at_all:create"),
        ("odd", "broker.adapter_api:NO_SUCH_NAME"),
        ("angry", "builtins:open"),
        ("filedrop", "adapters.filedrop.adapter:create"),
    )
    found = discover()

    assert set(found) == {"gone", "odd", "angry", "filedrop"}
    for name in ("gone", "odd", "angry"):
        with pytest.raises(AdapterFailed, match="cannot be loaded") as raised:
            found[name]({"folder": CANARY})
        assert raised.value.where == f"adapters.{name}"
        assert CANARY not in str(raised.value)
    assert found["filedrop"]({"folder": str(tmp_path)}).manifest.name == "filedrop"


def test_two_adapters_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two packages handles children's data is not left to chance."""
    install(monkeypatch, ("filedrop", "adapters.filedrop.adapter:create"), ("filedrop", "other:create"))

    with pytest.raises(AdapterFailed, match="Two installed packages"):
        discover()["filedrop"]({})


def test_wrong_options_reach_the_operator_as_settings_error() -> None:
    """An adapter's own refusal of its options is not turned into something else."""
    with pytest.raises(SettingsInvalid) as raised:
        discover()["filedrop"]({"folder": "relative"})
    assert raised.value.where == "adapters.filedrop.folder"


def test_options_get_their_defaults() -> None:
    """What is not given has its default."""
    assert MANIFEST.read({"folder": "/drop"}) == {"folder": "/drop", "seconds": 2, "loud": False}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "folder"),
        ({"folder": 5}, "folder"),
        ({"folder": "/drop", "seconds": True}, "seconds"),
        ({"folder": "/drop", "seconds": "2"}, "seconds"),
        ({"folder": "/drop", "seconds": 0}, "seconds"),
        ({"folder": "/drop", "loud": 1}, "loud"),
        ({"folder": "/drop", "colour": "red"}, "colour"),
    ],
)
def test_wrong_option_is_named(options: dict[str, Any], name: str) -> None:
    """Missing, unknown, of another kind or too small: the error names the option."""
    with pytest.raises(SettingsInvalid) as raised:
        MANIFEST.read(options)
    assert raised.value.where == f"adapters.ours.{name}"


def test_message_as_json_says_what_the_header_says() -> None:
    """The JSON has header, digest, reception and body, and what it follows; the nonce stays with the node."""
    message = sample_message()
    data = message.to_json()

    assert (data["id"], data["type"], data["digest"]) == (message.id, "family-tracing.request", message.digest)
    assert data["sender"] == {"country": "EE", "authority": "test-sender"}
    assert data["procedure"]["id"] == message.procedure.id
    assert data["legal_basis"] == {"code": "IIB_80_1_B"}
    assert data["received"] == "2026-11-22T03:00:00.000Z"
    assert (data["exercise"], data["forked"]) == (True, False)
    assert data["body"]["name"] == CANARY
    assert "nonce" not in data
    assert data["parents"] == [str(digest) for digest in message.header.parents]
    assert None not in data.values()


def test_message_shows_no_content_in_its_text_form() -> None:
    """A message that strays into a log or an exception names nobody."""
    assert "Maarika" not in repr(sample_message())


def test_node_message_goes_to_no_adapter() -> None:
    """Receipts have no procedure; handing one over is a programmer's fault."""
    from dataclasses import replace
    from types import SimpleNamespace

    header = replace(sample_message().header, procedure=None)

    with pytest.raises(RuntimeError):
        inbound_message(SimpleNamespace(header=header))  # type: ignore[arg-type]


def test_problem_names_code_reason_place_and_who() -> None:
    """People of the national system get what they need; a place that does not apply is absent."""
    assert problem(SchemaInvalid("The member is missing.", where="/body/child")) == {
        "code": "schema-invalid", "detail": "The member is missing.", "where": "/body/child", "who_must_act": "sender",
    }  # fmt: skip
    assert "where" not in problem(StoreUnavailable())


def test_all_names_exist_once() -> None:
    """What the module offers is there, and named once."""
    names = broker.adapter_api.__all__

    assert len(names) == len(set(names))
    assert all(hasattr(broker.adapter_api, name) for name in names)


def test_adapters_import_nothing_else_of_the_broker() -> None:
    """Every shipped adapter keeps to `broker.adapter_api`, names of its `__all__` only."""
    root = Path(import_module("adapters").__file__ or "").parent
    offered = set(broker.adapter_api.__all__)
    sources = sorted(root.rglob("*.py"))

    assert sources
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert not [name.name for name in node.names if name.name.split(".")[0] == "broker"]
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "broker":
                assert node.module == "broker.adapter_api"
                assert {name.name for name in node.names} <= offered
