# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Taking the newest trust list now."""

import shutil
from datetime import UTC, datetime

from broker.core.ids import CountryCode


def test_a_suspension_is_taken_at_once_without_a_passphrase(trm, home, request_file, federation):
    """The next submission goes by the new list, though no node ran; asked again within the minute, nobody is asked."""
    assert trm("submit", request_file, "--home", home).code == 0
    federation.office.repository.suspend(CountryCode("FI"), "A drill.", now=datetime.now(UTC))
    version = federation.office.publish(now=datetime.now(UTC))
    (home / "passphrase").rename(home / "elsewhere")
    ran = trm("trust", "refresh", "--home", home, "--json")
    assert (ran.code, ran.json) == (0, {"version": version, "before": version - 1, "asked": True, "not_taken": {}})
    assert "a moment ago" in trm("trust", "refresh", "--home", home).out

    (home / "elsewhere").rename(home / "passphrase")
    refused = trm("submit", request_file, "--home", home, "--idempotency-key", "another", "--json")
    assert refused.json["error"]["code"] == "recipient-suspended"


def test_a_source_that_is_away_is_a_sentence(trm, home, request_file, federation):
    """Exit code 3 and who must act; the list that was believed before is believed on."""
    assert trm("submit", request_file, "--home", home).code == 0
    shutil.rmtree(federation.office.folder)
    ran = trm("trust", "refresh", "--home", home, "--json")
    assert (ran.code, ran.json["error"]["code"], ran.json["error"]["who_must_act"]) == (
        3,
        "trust-list-invalid",
        "federation",
    )
    assert trm("submit", request_file, "--home", home, "--idempotency-key", "another").code == 0
