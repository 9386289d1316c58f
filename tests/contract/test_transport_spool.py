# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transport contract on a directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.core.ids import CountryCode
from broker.testing.transport_contract import EE, FI, SE, FastClock, TransportContract
from broker.transport.spool import SpoolTransport, create


class SpoolHarness:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[SpoolTransport] = []

    def open(self, country: CountryCode) -> SpoolTransport:
        self.opened.append(SpoolTransport(self.folder, country, FastClock(), prefetch=10))
        return self.opened[-1]

    async def outage(self) -> None:
        self.folder.rename(self.folder.with_name("unplugged"))

    async def recovery(self) -> None:
        self.folder.with_name("unplugged").rename(self.folder)


class TestSpool(TransportContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[SpoolHarness]:
        create(tmp_path / "spool", [EE, FI, SE])
        harness = SpoolHarness(tmp_path / "spool")
        yield harness
        for transport in harness.opened:
            await transport.close()
