# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm serve` when a part of the node dies under it."""

import gc
import logging
from collections.abc import Iterator

import pytest

from broker.core.errors import TransportUnavailable
from broker.running.receiving import Receiving


@pytest.fixture(autouse=True)
def _process_put_back() -> Iterator[None]:
    """Undo what serving does to the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    gc.unfreeze()


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (TransportUnavailable("The message broker is gone."), "transport-unavailable", "The message broker is gone."),
        (KeyError("Test-Maarika"), "internal", "A part of the node ended by KeyError; it is in the log."),
    ],
    ids=["our own error", "an unforeseen one"],
)
def test_a_dead_part_ends_the_command_with_one_sentence(trm, home, monkeypatch, error, code, sentence):
    """Exit code 3, what happened and its code, no traceback and no value of anybody's."""

    async def dies(_: Receiving) -> None:
        raise error

    monkeypatch.setattr(Receiving, "run", dies)
    ran = trm("serve", "--home", home)

    assert ran.code == 3
    assert sentence in ran.err
    assert code in ran.err
    assert "Traceback" not in ran.out + ran.err
    assert "ExceptionGroup" not in ran.err.splitlines()[-1]
    assert "Maarika" not in ran.out + ran.err
