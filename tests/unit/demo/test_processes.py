# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as child processes."""

from pathlib import Path

import pytest

from broker.demo.client import DemoFailed, until
from broker.demo.processes import NodeNotReady, node_process


async def test_a_node_that_cannot_start_is_reported_in_its_own_words(tmp_path: Path):
    """The error repeats the node's code and sentence, and names its log."""
    with pytest.raises(NodeNotReady) as caught:
        async with node_process(tmp_path):
            pass

    assert "settings-invalid: There is no settings file" in caught.value.detail
    assert caught.value.where == str(tmp_path / "node.log")


async def test_waiting_ends_with_what_was_waited_for():
    """`until` returns the first thing that is something."""
    found = iter([None, [], "there"])

    async def look() -> object:
        return next(found)

    assert await until("something", look, seconds=5) == "there"


async def test_waiting_in_vain_says_for_what():
    """After its time `until` fails with the name of what did not happen."""

    async def look() -> None:
        return None

    with pytest.raises(DemoFailed, match="the answer came"):
        await until("the answer came", look, seconds=0)
