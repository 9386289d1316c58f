# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Names, permissions and the definitions file."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from broker.core.ids import CountryCode
from broker.transport.topology import definitions, in_queue, password_hash, permissions

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


def zero_salt(size: int) -> bytes:
    """Return a salt that is the same in every run."""
    return bytes(size)


def test_definitions_do_not_depend_on_the_order_of_the_members() -> None:
    """The same countries give the same bytes."""
    passwords = {EE: "a", FI: "b"}
    one = definitions([FI, EE, SE], passwords=passwords, salt=zero_salt)
    two = definitions([SE, EE, FI, EE], passwords=passwords, salt=zero_salt)
    assert json.dumps(one) == json.dumps(two)


def test_every_queue_is_a_quorum_queue_that_never_drops() -> None:
    """Each queue dead-letters at least once, with its own key, refuses when full, and is limited."""
    queues = definitions([EE, FI])["queues"]
    assert [queue["name"] for queue in queues] == [
        f"trm.{kind}.{country}" for country in ("EE", "FI") for kind in ("in", "chunk", "dead")
    ]
    for queue in queues:
        arguments = queue["arguments"]
        assert queue["durable"]
        assert arguments["x-queue-type"] == "quorum"
        assert arguments["x-dead-letter-exchange"] == "trm.dead"
        assert arguments["x-dead-letter-routing-key"] == queue["name"][-2:]
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-overflow"] == "reject-publish"
        assert arguments["x-max-length"] > 0
        assert arguments["x-max-length-bytes"] > 0


def test_the_dead_queue_has_a_limit_that_is_never_reached() -> None:
    """Without one RabbitMQ 4 would drop after 20 deliveries, and -1 makes it grow."""
    arguments = {queue["name"]: queue["arguments"] for queue in definitions([EE])["queues"]}
    assert arguments["trm.in.EE"]["x-delivery-limit"] == 20
    assert arguments["trm.dead.EE"]["x-delivery-limit"] >= 1_000_000


def test_each_exchange_leads_to_one_queue_per_country() -> None:
    """The exchanges are direct, without alternate exchange, and bound by country code."""
    made = definitions([EE, FI])
    assert [(item["name"], item["type"], item["arguments"]) for item in made["exchanges"]] == [
        ("trm", "direct", {}),
        ("trm.dead", "direct", {}),
    ]
    assert {(item["source"], item["routing_key"], item["destination"]) for item in made["bindings"]} == {
        ("trm", "EE", "trm.in.EE"),
        ("trm", "EE.chunk", "trm.chunk.EE"),
        ("trm", "FI", "trm.in.FI"),
        ("trm", "FI.chunk", "trm.chunk.FI"),
        ("trm.dead", "EE", "trm.dead.EE"),
        ("trm.dead", "FI", "trm.dead.FI"),
    }


def test_permissions_are_anchored_and_deny_configure() -> None:
    """EE reads its own three queues and nothing that only resembles them."""
    rights = permissions(EE)
    assert (rights.configure, rights.write) == ("^$", "^trm$")
    assert re.search(rights.read, "trm.in.EE")
    assert re.search(rights.read, "trm.dead.EE")
    assert re.search(rights.read, "trm.chunk.EE")
    for other in ("trm.in.FI", "trm.chunk.FI", "xtrm.in.EE", "trm.in.EEE", "trmxin.EE", "trm.in.EE.x", ""):
        assert not re.search(rights.read, other)


def test_a_suspended_member_keeps_its_queues_and_gets_no_user() -> None:
    """Suspension takes the login away, not the messages."""
    made = definitions([EE, FI], suspended=[FI])
    assert [user["name"] for user in made["users"]] == ["EE"]
    assert [permission["user"] for permission in made["permissions"]] == ["EE"]
    assert in_queue(FI) in {queue["name"] for queue in made["queues"]}


def test_a_member_without_password_can_log_in_by_certificate_only() -> None:
    """An empty hash fits no password; the others are salted SHA-256, and no password stands in the file."""
    made = definitions([EE, FI], passwords={FI: "correct horse"})
    hashes = {user["name"]: user["password_hash"] for user in made["users"]}
    assert hashes["EE"] == ""
    raw = base64.b64decode(hashes["FI"])
    assert raw[4:] == hashlib.sha256(raw[:4] + b"correct horse").digest()
    assert "correct horse" not in json.dumps(made)


def test_salts_differ() -> None:
    """Two imports of the same password do not show that it is the same."""
    hashes = {definitions([EE], passwords={EE: "x"})["users"][0]["password_hash"] for _ in range(8)}
    assert len(hashes) > 1


def test_a_salt_of_another_length_is_a_programmers_error() -> None:
    """RabbitMQ reads the first four bytes as salt."""
    with pytest.raises(RuntimeError):
        password_hash("x", b"12345")
