# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The sign that a node runs on a database file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from broker.core.errors import NodeRunning
from broker.storage.presence import announce_presence, refuse_beside

HOLD = "import sys; from broker.storage.presence import announce_presence; p = announce_presence(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_workers_hold_it_together_and_keep_a_restore_out(tmp_path: Path) -> None:
    """Two workers at once; only when the last is gone may somebody else have the place."""
    file = tmp_path / "trm.db"
    first, second = (announce_presence(f"sqlite:///{file}") for _ in range(2))
    for worker in (first, second):
        with pytest.raises(NodeRunning):
            refuse_beside(file)
        worker.close()
    refuse_beside(file)


def test_a_worker_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """The operating system lets go: no file has to be removed by hand."""
    file = tmp_path / "trm.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"sqlite:///{file}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"held\n"
        with pytest.raises(NodeRunning):
            refuse_beside(file)
        worker.kill()
    refuse_beside(file)


def test_where_no_node_ever_ran_nothing_is_made(tmp_path: Path) -> None:
    """Looking leaves no file."""
    refuse_beside(tmp_path / "trm.db")
    assert list(tmp_path.iterdir()) == []
