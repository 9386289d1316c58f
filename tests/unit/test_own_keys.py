# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A home's own keys over vault, document and trust list."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.core.errors import BadRequest, HomeInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.rotation import KeyPlace, KeyStep
from broker.core.trust import Authority, KeyUse, Member, RevocationReason
from broker.durable import write_durably
from broker.home import create_home, read_own_member, write_own_member
from broker.own_keys import ENCRYPTION, SIGNING, OwnKeys
from broker.settings import Settings
from broker.vault import UNSAFE_DEV_KDF, FileVault, PassphraseWrapper

EE = CountryCode("EE")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
LOST = RevocationReason.COMPROMISED


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose document is published."""
    create_home(
        tmp_path, EE, passphrase=b"horse", now=NOW - 100 * DAY,
        authorities=[Authority(id=AuthorityId("desk"), name="Desk")],
        messages={MessageType("family-tracing.request"): (SchemaVersion("1.0"),)},
        settings={"spool_folder": "spool"}, kdf=UNSAFE_DEV_KDF,
    )  # fmt: skip
    publish(tmp_path)
    return tmp_path


def publish(home: Path, member: Member | None = None) -> None:
    """Make the document as it stands, or another, what the trust list says."""
    (home / "listed").mkdir(exist_ok=True)
    write_own_member(home / "listed", member or read_own_member(home, EE))


def own(home: Path) -> OwnKeys:
    """Return the home's keys."""
    listed = read_own_member(home / "listed", EE) if (home / "listed").exists() else None
    return OwnKeys(Settings.load(home), PassphraseWrapper(b"horse"), listed=listed)


def rotate(home: Path, uses: tuple[KeyUse, ...] = (*SIGNING, *ENCRYPTION), *, now: datetime = NOW) -> None:
    """Rotate from tomorrow on, with a week's overlap."""
    own(home).rotate(uses, start=now + DAY, overlap=WEEK, now=now)


def steps(home: Path, now: datetime) -> list[KeyStep]:
    """Return what is to be done about each key."""
    return [item.step for item in own(home).standing(now)]


def test_keys_of_a_published_home_are_in_order(home: Path) -> None:
    """Every key stands in vault, document and trust list, and nothing is to be done."""
    found = own(home).standing(NOW)

    assert [item.use for item in found] == list(KeyUse)
    assert {item.places for item in found} == {frozenset(KeyPlace)}
    assert {item.step for item in found} == {KeyStep.NOTHING}
    assert {item.created for item in found} == {NOW - 100 * DAY}


def test_rotation_from_making_to_destroying(home: Path) -> None:
    """New keys are made, published, take over, and the old ones are destroyed when they are needed no more."""
    before = read_own_member(home, EE)
    rotate(home)
    after = read_own_member(home, EE)
    assert replace(after, keys=()) == replace(before, keys=())
    assert len(after.keys) == 6
    assert steps(home, NOW) == [KeyStep.NOTHING, KeyStep.PUBLISH] * 3
    publish(home)
    assert steps(home, NOW) == [KeyStep.NOTHING, KeyStep.WAIT] * 3
    assert own(home).due(NOW) == ()

    later = NOW + 8 * DAY
    assert [item.use for item in own(home).due(later)] == list(SIGNING)
    assert steps(home, later)[4:] == [KeyStep.KEEP, KeyStep.NOTHING]
    own(home).retire([item.kid for item in own(home).due(later)], now=later)
    assert steps(home, later) == [KeyStep.GONE, KeyStep.NOTHING] * 2 + [KeyStep.KEEP, KeyStep.NOTHING]
    at_last = later + 60 * DAY
    (old,) = own(home).due(at_last)
    (gone,) = own(home).retire([old.kid], now=at_last)

    assert (gone.kid, gone.destroyed) == (before.keys[2].kid, at_last)
    vault = FileVault.open(home / "vault.json", b"horse")
    assert {kid for kid, _, _ in vault.public_keys()} == {key.kid for key in after.keys[3:]}


def test_needed_keys_are_not_destroyed(home: Path) -> None:
    """A key in use, and one that is accepted still, stay; nothing of a mixed order is destroyed."""
    rotate(home)
    publish(home)
    later = NOW + 8 * DAY
    signing, encryption = own(home).due(later)[0], own(home).standing(later)[4]
    vault = (home / "vault.json").read_bytes()

    for forced in (False, True):
        with pytest.raises(BadRequest, match="needed until 2027-01-29"):
            own(home).retire([signing.kid, encryption.kid], now=later, forced=forced)
        with pytest.raises(BadRequest, match="needed until"):
            own(home).check_retire([encryption.kid], now=later, forced=forced)
    assert (home / "vault.json").read_bytes() == vault


def test_unpublished_end_destroys_nothing(home: Path) -> None:
    """What the document says earlier than the trust list does not count: peers go by the list that they have."""
    rotate(home)

    assert own(home).due(NOW + 70 * DAY) == ()
    publish(home)
    assert len(own(home).due(NOW + 70 * DAY)) == 3


def test_revoked_keys_need_force_where_something_may_be_lost(home: Path) -> None:
    """A revoked signing key goes at once; a revoked encryption key only when somebody says that its mail may be lost."""
    member = read_own_member(home, EE)
    revoked = replace(member, keys=tuple(replace(key, revoked_at=NOW, revoked_because=LOST) for key in member.keys))
    publish(home, revoked)
    encryption = member.keys[2].kid

    assert [item.use for item in own(home).due(NOW)] == list(SIGNING)
    with pytest.raises(BadRequest, match="revoked"):
        own(home).retire([encryption], now=NOW)
    assert own(home).retire([encryption], now=NOW, forced=True)[0].kid == encryption
    with pytest.raises(BadRequest, match="does not hold"):
        own(home).retire([encryption], now=NOW, forced=True)


def test_rotation_keeps_what_the_trust_list_revoked(home: Path) -> None:
    """The new document carries the revocation that the old one does not know of."""
    member = read_own_member(home, EE)
    first, *others = member.keys
    publish(home, replace(member, keys=(replace(first, revoked_at=NOW, revoked_because=LOST), *others)))
    assert own(home).standing(NOW)[0].step is KeyStep.REVOKED
    rotate(home, SIGNING)

    assert [key.revoked_at for key in read_own_member(home, EE).keys] == [NOW, None, None, None, None]


def test_interrupted_rotation_goes_on_with_the_keys_it_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the document could not be written, the next rotation takes what the vault has ready and makes no more."""

    def full(*arguments: object, **more: object) -> None:
        raise OSError(13, "no")

    monkeypatch.setattr("broker.home.write_durably", full)
    with pytest.raises(HomeInvalid):
        rotate(home)
    monkeypatch.setattr("broker.home.write_durably", write_durably)
    ready = {item.kid for item in own(home).standing(NOW) if item.step is KeyStep.LIST}
    assert len(ready) == 3
    rotate(home)

    assert {key.kid for key in read_own_member(home, EE).keys[3:]} == ready
    assert len(own(home).standing(NOW)) == 6


def test_generated_keys_are_taken_by_the_next_rotation(home: Path) -> None:
    """Keys made ahead are listed nowhere until a rotation of their use."""
    made = own(home).generate(SIGNING, NOW)
    rotate(home)

    kids = [key.kid for key in read_own_member(home, EE).keys[3:]]
    assert {entry.kid for entry in made} < set(kids)
    assert len(kids) == 3


def test_second_rotation_waits_for_the_first_to_be_published(home: Path) -> None:
    """Keys that nobody knows yet are not rotated away; of another use, they may be."""
    rotate(home, SIGNING)
    document = (home / "member.json").read_bytes()
    with pytest.raises(BadRequest, match="published first"):
        rotate(home, SIGNING)
    assert (home / "member.json").read_bytes() == document
    rotate(home, ENCRYPTION)
    publish(home)
    rotate(home, SIGNING, now=NOW + 9 * DAY)


@pytest.mark.parametrize("published", [True, False])
def test_nothing_of_a_stolen_vault_is_used_again(home: Path, published: bool) -> None:
    """In the middle of a rotation, and with keys made ahead: all are revoked, and no later rotation takes them."""
    rotate(home)
    if published:
        publish(home)
    own(home).generate(SIGNING, NOW)
    stolen = {item.kid for item in own(home).standing(NOW)}
    assert len(stolen) == 8
    own(home).replace_stolen((*SIGNING, *ENCRYPTION), since=NOW - DAY, now=NOW)
    publish(home)

    keys = read_own_member(home, EE).keys
    assert {key.kid: (key.revoked_at, key.revoked_because) for key in keys if key.kid in stolen} == dict.fromkeys(
        stolen, (NOW - DAY, LOST)
    )
    assert [key.use for key in keys if key.usable(NOW)] == list(KeyUse)
    rotate(home)
    assert {key.kid for key in read_own_member(home, EE).keys if key.usable(NOW + 2 * DAY)}.isdisjoint(stolen)


def test_what_was_revoked_before_a_theft_stays_so(home: Path) -> None:
    """Another reason and an earlier moment hold; one that was to come does not wait; keys of another use stay."""
    member = read_own_member(home, EE)
    gone, late, sealing = member.keys
    gone = replace(gone, revoked_at=NOW - 9 * DAY, revoked_because=RevocationReason.SUPERSEDED)
    late = replace(late, revoked_at=NOW + 9 * DAY, revoked_because=RevocationReason.SUPERSEDED)
    publish(home, replace(member, keys=(gone, late, sealing)))
    own(home).replace_stolen(SIGNING, since=NOW, now=NOW)

    assert read_own_member(home, EE).keys[:3] == (
        gone,
        replace(late, revoked_at=NOW, revoked_because=LOST),
        sealing,
    )
    assert len(read_own_member(home, EE).keys) == 5


def test_a_revocation_that_is_to_come_needs_no_publishing(home: Path) -> None:
    """It stands in document and list alike; where the document has it earlier, that is to be published."""
    first, *others = read_own_member(home, EE).keys
    ahead = replace(first, revoked_at=NOW + DAY, revoked_because=LOST)
    for document, step in ((ahead, KeyStep.NOTHING), (replace(ahead, revoked_at=NOW), KeyStep.PUBLISH)):
        member = replace(read_own_member(home, EE), keys=(ahead, *others))
        publish(home, member)
        write_own_member(home, replace(member, keys=(document, *others)))
        assert own(home).standing(NOW)[0].step is step


def test_machine_without_a_trust_list_rotates(home: Path) -> None:
    """On a machine that is never connected, vault and document are enough."""
    (home / "listed" / "member.json").rename(home / "away")
    (home / "listed").rmdir()
    rotate(home)

    assert len(read_own_member(home, EE).keys) == 6
    assert set(steps(home, NOW)) == {KeyStep.PUBLISH}
    assert own(home).due(NOW + 900 * DAY) == ()
    with pytest.raises(BadRequest, match="No trust list"):
        own(home).retire([read_own_member(home, EE).keys[0].kid], now=NOW + 900 * DAY)


def test_vault_goes_under_another_passphrase(home: Path) -> None:
    """Wrapping anew keeps the keys."""
    before = own(home).standing(NOW)
    own(home).rewrap(PassphraseWrapper(b"donkey", UNSAFE_DEV_KDF))

    assert (
        OwnKeys(Settings.load(home), PassphraseWrapper(b"donkey"), listed=read_own_member(home, EE)).standing(NOW)
        == before
    )


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"format": "trm-member/1", "country": "FI"}', "[" * 100_000])
def test_damaged_document_is_home_invalid(home: Path, damage: str) -> None:
    """What is no public document of this country is said with its place."""
    (home / "member.json").write_text(damage)
    with pytest.raises(HomeInvalid) as raised:
        own(home).standing(NOW)
    assert "member.json" in (raised.value.where or "")
    (home / "member.json").unlink()
    with pytest.raises(HomeInvalid, match="FileNotFoundError"):
        rotate(home)
    assert json.loads((home / "vault.json").read_bytes())["version"] == 2
