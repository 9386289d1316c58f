# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which database addresses a node takes."""

from __future__ import annotations

import pytest

from broker.core.errors import SettingsInvalid
from broker.storage.schema import parse_url, shown


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/trm/trm.db",
        "postgresql://trm@/trm?host=/run/postgresql",
        "postgresql+psycopg://trm@db.example.org:5432/trm",
        "postgresql://trm@/trm?host=a.example.org,b.example.org&port=5432,5433",
    ],
)
def test_an_address_of_either_kind_is_taken(url: str) -> None:
    """A file, a socket, a server, and a server with another to fall back on."""
    assert parse_url(url).database


@pytest.mark.parametrize(
    "url",
    ["", "no address", "sqlite://", "sqlite:///:memory:", "mysql://trm@h/trm", "postgresql://trm@h:none/trm",
     "postgresql://trm@/trm?host=/run/postgresql&port=none"],
)  # fmt: skip
def test_any_other_address_is_a_fault_of_the_setting(url: str) -> None:
    """It names the setting and never the address, which may hold a password."""
    with pytest.raises(SettingsInvalid) as caught:
        parse_url(url)
    assert caught.value.where == "store_url"
    assert "trm@" not in caught.value.detail


def test_a_database_is_shown_to_people_without_its_address() -> None:
    """The file, or which setting holds the server's address: errors are logged, and an address may hold a password."""
    assert shown("sqlite:////srv/trm/trm.db") == "/srv/trm/trm.db"
    assert shown("postgresql://trm:secret@db.example:5433/trm?sslmode=require") == "store_url"
