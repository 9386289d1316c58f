# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the offline bundle."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from broker.core.errors import CeremonyRefused, HomeInvalid, TrustListInvalid
from broker.core.trust import Member
from broker.testing.trust import TrustOffice
from broker.trust import offline
from broker.trust.offline import pack, unpack


def bundle(file: Path, *names: str, raw: bytes = b"{}") -> Path:
    """Write a zip with these names."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, raw)
    return file


def rule(file: Path) -> str:
    """Return the rule that unpacking breaks."""
    with pytest.raises(TrustListInvalid) as caught:
        unpack(file)
    return str(caught.value.rule)


def test_a_bundle_holds_what_nodes_read(tmp_path: Path, ee: Member, now: datetime) -> None:
    """Published files come back byte for byte; what waits for signatures stays at home."""
    office = TrustOffice.create(tmp_path / "trust", now=now)
    office.add(ee, now=now)
    office.publish(now=now)
    office.repository.suspend(ee.country, "A drill.", now=now)
    pack(office.folder, tmp_path / "b.zip")
    files = unpack(tmp_path / "b.zip")
    assert files["metadata/1.root.json"] == office.root
    assert not [name for name in files if "staged" in name]
    assert len(files) == 7


def test_a_pipe_is_no_bundle_and_no_part_of_one(tmp_path: Path, now: datetime) -> None:
    """Nobody waits for a writer that never comes: neither who reads a bundle nor who makes one."""
    os.mkfifo(tmp_path / "b.zip")
    assert rule(tmp_path / "b.zip") == "unreachable"
    office = TrustOffice.create(tmp_path / "trust", now=now)
    office.publish(now=now)
    os.mkfifo(office.folder / "metadata" / "9.EE.json")
    with pytest.raises(HomeInvalid):
        pack(office.folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("target", ["../../officer.key", "x.json"])
def test_a_link_that_leads_elsewhere_or_in_a_circle_is_not_followed(tmp_path: Path, now: datetime, target: str) -> None:
    """A stick's link to a file of this machine does not put that file into a bundle for everybody."""
    office = TrustOffice.create(tmp_path / "trust", now=now)
    office.publish(now=now)
    (tmp_path / "officer.key").write_text("not for everybody", "utf-8")
    (office.folder / "targets" / "x.json").symlink_to(target)
    with pytest.raises(CeremonyRefused, match="link"):
        pack(office.folder, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize("name", ["metadata", "targets/members"])
def test_a_folder_that_cannot_be_read_is_not_left_out(
    tmp_path: Path, ee: Member, now: datetime, unreadable: Callable[[Path], None], name: str
) -> None:
    """A bundle without its members' documents would be refused at the site without a connection, a day's drive away."""
    office = TrustOffice.create(tmp_path / "trust", now=now)
    office.add(ee, now=now)
    office.publish(now=now)
    assert (office.folder / name).is_dir()
    unreadable(office.folder / name)
    with pytest.raises(HomeInvalid, match="cannot be read"):
        pack(office.folder, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_nothing_published_is_no_bundle(tmp_path: Path, now: datetime) -> None:
    """A folder that waits for its first signatures gives none."""
    office = TrustOffice.create(tmp_path / "trust", now=now)
    with pytest.raises(CeremonyRefused):
        pack(office.folder, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize(
    "name",
    ["../metadata/root.json", "/metadata/root.json", "metadata/../../x.json", "metadata/", "metadata\\x.json",
     "elsewhere/x.json", "metadata/x.txt", "targets/a/b/c/d/e.json", "metadata/.x.json"],
)  # fmt: skip
def test_a_name_that_none_may_have_is_refused(tmp_path: Path, name: str) -> None:
    """One hostile name refuses the whole bundle."""
    assert rule(bundle(tmp_path / "b.zip", "metadata/timestamp.json", name)) == "malformed"


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    """Two readers would read two files."""
    with pytest.warns(UserWarning, match="Duplicate"):
        file = bundle(tmp_path / "b.zip", "metadata/timestamp.json", "metadata/timestamp.json")
    assert rule(file) == "malformed"


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file, all files together, their number and the archive itself are bounded."""
    file = bundle(tmp_path / "b.zip", "metadata/a.json", "metadata/b.json", raw=b" " * 1000)
    for name, most in (("_MAX_BYTES", 1999), ("_MAX_FILES", 1), ("MAX_DOCUMENT", 999), ("_MAX_ARCHIVE", 10)):
        with monkeypatch.context() as patched:
            patched.setattr(offline, name, most)
            assert rule(file) == "too-large"
    assert len(unpack(file)) == 2


@pytest.mark.parametrize("raw", [b"", b"PK", b"not a zip", b"PK\x03\x04" + b"\x00" * 100])
def test_what_is_no_zip_is_refused(tmp_path: Path, raw: bytes) -> None:
    """Garbage is malformed, not a crash."""
    (tmp_path / "b.zip").write_bytes(raw)
    assert rule(tmp_path / "b.zip") == "malformed"


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    """A flipped byte is noticed by the archive itself."""
    file = bundle(tmp_path / "b.zip", "metadata/timestamp.json", raw=bytes(range(256)) * 4)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 3] ^= 0xFF
    file.write_bytes(raw)
    assert rule(file) == "malformed"
