# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a home folder comes to be."""

from __future__ import annotations

import json
import stat
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import HomeInvalid, SettingsInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.trust import LONGEST_ENVELOPE_LIFE, Authority, KeyUse, Member
from broker.home import MEMBER_FILE, create_home, generate_keys, member_of
from broker.settings import Settings
from broker.trust.member_documents import parse_member
from broker.vault import UNSAFE_DEV_KDF, FileVault

EE = CountryCode("EE")
NOW = datetime(2026, 11, 22, 3, 0, 0, 500_000, tzinfo=UTC)
OFFICE = Authority(id=AuthorityId("test-office"), name="Näidisamet", languages=("et",))
MESSAGES = {MessageType("family-tracing.request"): (SchemaVersion("1.0"),)}


def make(home: Path, **settings: Any) -> Member:
    """Make a home folder with a cheap vault."""
    return create_home(
        home, EE, passphrase=b"correct horse", now=NOW, authorities=(OFFICE,), messages=MESSAGES,
        settings={"spool_folder": "spool", **settings}, kdf=UNSAFE_DEV_KDF,
    )  # fmt: skip


def test_home_opens_with_what_was_asked_for(tmp_path: Path) -> None:
    """Settings load, the vault opens and holds the keys of the public document."""
    member = make(tmp_path / "home", envelope_days=7, adapters={"filedrop": {"authorities": ["x"], "folder": "/drop"}})

    settings = Settings.load(tmp_path / "home")
    assert (settings.country, settings.envelope_days) == ("EE", 7)
    assert settings.adapters["filedrop"].options == {"folder": "/drop"}
    vault = FileVault.open(settings.vault_file, b"correct horse")
    assert {kid for kid, _, _ in vault.public_keys()} == {key.kid for key in member.keys}
    public = json.loads((tmp_path / "home" / MEMBER_FILE).read_bytes())
    assert parse_member(EE, public) == member


def test_home_is_the_owners_alone(tmp_path: Path) -> None:
    """Nobody else looks into the folder, the vault or the settings."""
    make(tmp_path / "home")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert modes == {"vault.json": 0o600, "settings.toml": 0o600, "member.json": 0o644, "trust": 0o700}


def test_public_document_holds_no_private_part(tmp_path: Path) -> None:
    """What goes to the federation has public members only."""
    make(tmp_path / "home")

    public = json.loads((tmp_path / "home" / MEMBER_FILE).read_bytes())
    for key in public["keys"]:
        assert not {"d", "priv"} & key["jwk"].keys()


def test_second_node_in_a_folder_is_refused(tmp_path: Path) -> None:
    """A home folder is never written over: its keys could not be had back."""
    make(tmp_path / "home")
    before = {path: path.read_bytes() for path in (tmp_path / "home").iterdir() if path.is_file()}

    with pytest.raises(HomeInvalid):
        make(tmp_path / "home")
    assert {path: path.read_bytes() for path in before} == before


def test_interrupted_making_is_not_a_node(tmp_path: Path) -> None:
    """A vault without settings is left alone and named."""
    make(tmp_path / "home")
    (tmp_path / "home" / "settings.toml").unlink()

    with pytest.raises(HomeInvalid) as raised:
        make(tmp_path / "home")
    assert raised.value.where == str(tmp_path / "home" / "vault.json")


def test_impossible_settings_write_nothing(tmp_path: Path) -> None:
    """Settings are checked before anything is made."""
    with pytest.raises(SettingsInvalid):
        make(tmp_path / "home", envelope_days=61)
    assert not (tmp_path / "home").exists()


def test_folder_that_cannot_be_made_is_home_invalid(tmp_path: Path) -> None:
    """A file in the way is said, not traced back."""
    (tmp_path / "home").write_text("")

    with pytest.raises(HomeInvalid):
        make(tmp_path / "home")


def test_keys_are_listed_from_now_on_in_whole_seconds() -> None:
    """One key of each use, valid from now for a year, accepted as long as an envelope may travel after it."""
    member = member_of(EE, generate_keys(), now=NOW, authorities=(OFFICE,), messages=MESSAGES)

    assert [key.use for key in member.keys] == list(KeyUse)
    for key in member.keys:
        assert key.not_before == NOW.replace(microsecond=0)
        assert key.sign_until - key.not_before == timedelta(days=365)
        assert key.accept_until - key.sign_until == LONGEST_ENVELOPE_LIFE
    assert member.authority(OFFICE.id) == OFFICE


@given(
    folder=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() or "\x7f" in text),
    offices=st.lists(st.from_regex(r"\A[a-z]{1,8}\Z"), min_size=1, max_size=3, unique=True),
    option=st.integers(-(2**40), 2**40) | st.booleans() | st.text(max_size=20),
)
def test_settings_file_reads_back_whatever_is_in_it(folder: str, offices: list[str], option: Any) -> None:
    """Quotes, backslashes, control characters and tables survive the file."""
    from broker.home import write_toml

    stated = {"country": "EE", "spool_folder": folder, "adapters": {"filed rop": {"authorities": offices, "x": option}}}

    assert tomllib.loads(write_toml(stated)) == stated
