# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a vault holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from broker.core.trust import KeyUse
from broker.home import generate_keys
from broker.vault.entries import AT_REST, Entry, EntryKind, EntryState, parse_entries, ring_of, write_entries

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def entries() -> tuple[Entry, ...]:
    """Return one entry of each kind, the first destroyed."""
    made = [Entry.of(key, created=NOW) for key in generate_keys()]
    made += [Entry.at_rest(kind, 1, created=NOW) for kind in AT_REST]
    return (made[0].without_material(NOW), *made[1:])


def test_entries_read_back_as_they_were_written() -> None:
    """Held and destroyed entries keep everything; a destroyed one has no material left."""
    held = entries()

    assert parse_entries(write_entries(held)) == held
    assert [entry.state for entry in held] == [EntryState.DESTROYED, *[EntryState.HELD] * 4]
    assert [entry.kind for entry in held] == list(EntryKind)
    assert [entry.use for entry in held[:3]] == list(KeyUse)
    assert held[1].key.seed == held[1].material
    with pytest.raises(RuntimeError):
        _ = held[0].key


def test_every_use_of_a_key_has_its_kind() -> None:
    """The kinds of the envelope's keys are named as their uses."""
    assert {use.value for use in KeyUse} <= {kind.value for kind in EntryKind}


def test_text_form_shows_no_material() -> None:
    """An entry's text form names it and shows nothing of what it holds."""
    for entry in entries()[1:]:
        assert repr(entry.material) not in repr(entry)
        assert entry.id in repr(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "RSA"},
        {"id": "A" * 43},
        {"state": "destroyed"},
        {"state": "new"},
        {"material": None},
        {"material": "AAAA"},
        {"created": "today"},
        {"destroyed": "2026-11-22T03:00:00Z"},
    ],
)
def test_other_forms_are_refused(change: dict[str, Any]) -> None:
    """An unknown kind, a state that is not the material's or an id that is another key's is no entry."""
    data = write_entries(entries())

    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_entries([data[0], {**data[1], **change}])
    with pytest.raises(ValueError, match="twice"):
        parse_entries([data[1], data[1]])


@pytest.mark.parametrize("change", [{"id": "0"}, {"id": "01"}, {"id": "one"}, {"material": "AAAA"}])
def test_a_key_at_rest_has_a_number_and_its_length(change: dict[str, Any]) -> None:
    """Another id than a plain number, or another length of key, is no entry."""
    data = write_entries(entries())[-1]

    with pytest.raises(ValueError, match=r"none|invalid literal"):
        parse_entries([{**data, **change}])


def test_the_ring_holds_what_is_not_destroyed() -> None:
    """Keys at rest that are held are in the ring under their numbers, destroyed ones and key pairs are not."""
    first, second = (Entry.at_rest(EntryKind.WRAPPING, number, created=NOW) for number in (1, 2))

    assert ring_of(entries()).epochs == (1,)
    assert ring_of([*entries()[:3], first.without_material(NOW), second]).epochs == (2,)
