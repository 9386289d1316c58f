# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a look at the trust list leaves for the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from broker.trust.looking_folder import LookingFolder


def test_what_was_given_comes_back(tmp_path: Path) -> None:
    """But links, which are made anew at each look, and what is no document."""
    memory = {"metadata/timestamp.json": b"{}", "metadata/root_history/1.root.json": b"[]"}
    folder = LookingFolder(tmp_path, memory)
    (folder.metadata / "root.json").symlink_to("root_history/1.root.json")
    (folder.targets / "part.tmp").write_bytes(b"half")
    assert folder.memory() == memory


def test_what_cannot_be_read_is_not_forgotten(tmp_path: Path, unreadable: Callable[[Path], None]) -> None:
    """The look fails as a whole; the next one would otherwise not know how far the lists had come."""
    folder = LookingFolder(tmp_path, {"metadata/timestamp.json": b"{}"})
    unreadable(folder.metadata)
    with pytest.raises(PermissionError):
        folder.memory()
