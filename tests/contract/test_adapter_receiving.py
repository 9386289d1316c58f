# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The adapter contract of an adapter that puts nothing out, and that its suite catches what such a one gets wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.adapter_api import Adapter, AdapterContext, AdapterFailed, ErasedMessage, InboundMessage, Manifest
from broker.testing.adapter_contract import ReceivingAdapterContract
from broker.testing.adapter_node import SimulatedNode, sample_submission


class Shelf:
    """Puts each message into a folder, and does nothing else."""

    manifest = Manifest(
        name="shelf",
        version="1.0",
        description="Keeps what comes.",
        options={},
        retention="The office empties it.",
        personal_data_at_rest="In the folder, in clear.",
    )

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, message: InboundMessage) -> None:
        self._reachable()
        (self._folder / f"{message.sender.country}-{message.id}").write_text(json.dumps(message.to_json()))

    async def erased(self, message: ErasedMessage) -> None:
        self._reachable()
        (self._folder / f"{message.country}-{message.id}").unlink(missing_ok=True)

    async def run(self, context: AdapterContext) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...

    def _reachable(self) -> None:
        if not self._folder.is_dir():
            raise AdapterFailed("The shelf is not there.")


class ShelfHarness:
    """Somebody who looks at the shelf."""

    def __init__(self, folder: Path, adapter: type[Shelf] = Shelf) -> None:
        self._folder = folder
        self._adapter = adapter
        folder.mkdir()

    def open(self) -> Adapter:
        return self._adapter(self._folder)

    def received(self) -> list[Mapping[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self._folder.iterdir())]

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Carry the shelf away."""
        away = self._folder.with_name("away")
        self._folder.rename(away)
        yield
        away.rename(self._folder)


class TestShelf(ReceivingAdapterContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> ShelfHarness:
        return ShelfHarness(tmp_path / "shelf")


class _Ends(Shelf):
    async def run(self, context: AdapterContext) -> None:
        return None


class _Submits(Shelf):
    async def run(self, context: AdapterContext) -> None:
        await context.submit(sample_submission(), "key")
        await super().run(context)


@pytest.mark.parametrize("adapter", [_Ends, _Submits])
async def test_one_that_ends_or_puts_something_out_does_not_pass(tmp_path: Path, adapter: type[Shelf]) -> None:
    """Its node would start it again and again; and what it puts out is proven by the suite of both ways."""
    harness = ShelfHarness(tmp_path / "shelf", adapter)
    with pytest.raises(AssertionError):
        await ReceivingAdapterContract().test_it_waits_until_it_is_stopped_and_puts_nothing_out(
            harness, SimulatedNode()
        )
