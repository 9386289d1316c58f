# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An authority and certificates made for one test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.certificates.authority import BrokerAuthority
from broker.certificates.identity import Identity, new_key
from broker.core.ids import CountryCode

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PASSPHRASE = b"sixteen letters and more"

Issue = Callable[..., Identity]


@pytest.fixture
def now() -> datetime:
    """Noon."""
    return NOW


@pytest.fixture
def authority(tmp_path: Path) -> BrokerAuthority:
    """A fresh authority."""
    return BrokerAuthority.create(tmp_path / "ca", PASSPHRASE, name="Test authority", now=NOW)


@pytest.fixture
def issue(authority: BrokerAuthority) -> Issue:
    """Issue a certificate for EE, or what is said."""

    def made(
        country: str = "EE", *, days: int = 90, at: datetime = NOW, signer: BrokerAuthority = authority
    ) -> Identity:
        key = new_key()
        return Identity(key=key, chain=signer.issue_member(CountryCode(country), key.public_key(), now=at, days=days))

    return made
