# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The adapter contract on the file drop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.filedrop.adapter import create
from broker.adapter_api import Adapter
from broker.testing.adapter_contract import AdapterContract, Outcome
from broker.testing.adapter_node import CANARY


class FileDropHarness:
    """The national system of a file drop: somebody who looks into folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.offered = 0
        for place in ("in", "out", "sent", "rejected"):
            (folder / place).mkdir(parents=True)

    def open(self) -> Adapter:
        return create({"folder": str(self.folder)})

    def received(self) -> list[Mapping[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted((self.folder / "in").iterdir())]

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Take the disk out."""
        away = self.folder.with_name("unplugged")
        self.folder.rename(away)
        yield
        away.rename(self.folder)

    def offer(self, submission: Mapping[str, Any]) -> str:
        """Put a file out, under a child's name, as people do."""
        self.offered += 1
        name = f"{CANARY} {self.offered}.json"
        making = self.folder / "out" / f"{name}.tmp"
        making.write_text(json.dumps(submission))
        making.rename(making.with_suffix(""))
        return name

    def outcome(self, work: str) -> Outcome | None:
        accepted = self.folder / "sent" / f"{work}.accepted.json"
        if accepted.exists() and (self.folder / "sent" / work).exists():
            return Outcome(message=json.loads(accepted.read_bytes())["message"])
        refused = self.folder / "rejected" / f"{work}.problem.json"
        if refused.exists() and (self.folder / "rejected" / work).exists():
            return Outcome(problem=json.loads(refused.read_bytes()))
        return None

    def copies(self, work: str) -> int:
        return sum(1 for place in ("out", "sent", "rejected") for _ in (self.folder / place).glob(f"{work}*"))


class TestFileDrop(AdapterContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> FileDropHarness:
        return FileDropHarness(tmp_path / "drop")
