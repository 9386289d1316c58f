# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the folder of a ceremony, which comes on a stick: what lies in it leads nowhere and holds nobody up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.errors import CeremonyRefused, HomeInvalid
from broker.core.ids import CountryCode
from broker.core.trust import Member
from broker.testing.trust import TrustOffice
from broker.trust import layout
from broker.trust.folder import TrustFolder
from broker.trust.member_documents import write_member
from broker.trust.repository import Repository

EE = CountryCode("EE")


@pytest.fixture
def office(tmp_path: Path, ee: Member, now: datetime) -> TrustOffice:
    """A federation with one member, and a suspension that waits for signatures."""
    made = TrustOffice.create(tmp_path / "stick", now=now)
    made.add(ee, now=now)
    made.publish(now=now)
    made.repository.suspend(EE, "A drill.", now=now)
    return made


@pytest.mark.parametrize("name", ["staged/targets.json", "metadata/1.EE.json", "staged/targets/federation.json"])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(office: TrustOffice, now: datetime, name: str) -> None:
    """Nobody waits for a writer that never comes."""
    place = office.folder / name
    place.unlink()
    os.mkfifo(place)
    with pytest.raises((HomeInvalid, CeremonyRefused)):
        office.publish(now=now)


@pytest.mark.parametrize("name", ["staged", "metadata", "staged/targets"])
def test_a_linked_folder_is_neither_read_nor_written(
    office: TrustOffice, tmp_path: Path, now: datetime, name: str
) -> None:
    """What a link leads to stays as it is, whatever the officers do."""
    outside = tmp_path / "outside"
    shutil.move(office.folder / name, outside)
    (office.folder / name).symlink_to(outside)
    before = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    with pytest.raises(CeremonyRefused, match="link leads out"):
        Repository(office.folder).suspend(EE, "Another drill.", now=now)
    assert {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("target", ["/etc/hostname", "targets.json"])
def test_a_link_out_of_the_folder_or_in_a_circle_is_refused(office: TrustOffice, target: str) -> None:
    """A file of this machine is not taken for one of the stick."""
    place = office.folder / "staged" / "targets.json"
    place.unlink()
    place.symlink_to(target)
    spoiled = {left.role: left.error.detail for left in office.repository.spoiled()}
    assert "link leads out" in spoiled["targets"]
    assert "targets" not in {item.role for item in office.repository.staged()}
    with pytest.raises(CeremonyRefused, match="link leads out"):
        office.repository.publish(office.online, now=datetime.now(UTC))


def test_what_no_ceremony_would_stage_is_not_put_before_officers(
    office: TrustOffice, ee: Member, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that nodes would refuse is refused before it is shown, signed or published, and told by its place."""
    raw = write_member(ee).replace(b'"authorities"', b'"trusted": true, "authorities"')
    with monkeypatch.context() as hostile:
        for check in ("check_document", "check_revocations"):
            hostile.setattr(f"broker.trust.repository.{check}", lambda *_: None)
        office.repository.set_document(layout.member_path(EE), raw, now=now)
    (spoiled,) = (left for left in office.repository.spoiled() if left.role == "EE")
    assert spoiled.error.where == "members/EE.json: /trusted"
    office.sign()
    staged = TrustFolder(office.folder).staged("EE")
    assert staged is not None
    assert not staged.signatures


def test_a_folder_that_cannot_be_read_holds_no_empty_federation(
    office: TrustOffice, ee: Member, now: datetime, unreadable: Callable[[Path], None]
) -> None:
    """Another federation would be founded over the one that is there, or what waits for signatures be passed over."""
    unreadable(office.folder / "metadata")
    with pytest.raises(HomeInvalid, match="cannot be read"):
        TrustOffice.create(office.folder, now=now)
    unreadable(office.folder / "staged")
    with pytest.raises(HomeInvalid, match="cannot be read"):
        office.repository.staged()
