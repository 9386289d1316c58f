# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The search for names sees through what only looks unreadable."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode

from broker.testing.canaries import CANARIES, found, found_deep


def test_a_name_is_found_below_several_layers() -> None:
    """As an envelope nests them: base64 of a JSON object that holds base64 of another; clear bytes stay searched."""
    content = json.dumps({"words": CANARIES[0], "more": "x" * 40}).encode()
    signed = json.dumps({"payload": urlsafe_b64encode(content).rstrip(b"=").decode()}).encode()
    envelope = json.dumps({"ciphertext": b64encode(b"\xff\xfe" + signed).decode(), "to": CANARIES[1]}).encode()

    assert found(envelope) == {CANARIES[1]}
    assert found_deep(envelope) == {CANARIES[0], CANARIES[1]}
    assert found_deep(b"An invented text of nobody. " * 20) == set()
