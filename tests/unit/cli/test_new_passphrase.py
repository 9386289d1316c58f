# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Passphrases that somebody chooses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker.cli.new_passphrase import LEAST_CHARACTERS, new_passphrase
from broker.core.errors import BadRequest, VaultLocked
from broker.own_keys import OwnKeys
from broker.settings import Settings
from broker.vault.unlocking import Unlocking
from broker.vault.wrapping import UNSAFE_DEV_KDF, PassphraseWrapper

LONG, SHORT = "kuu paistab merele", "kuu paistab me"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody at the keyboard types, one after the other."""
    answers: list[str] = []
    given: Iterator[str] = iter(answers)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: next(given))
    return answers


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (SHORT, False),
        (SHORT + "r", True),
        ("õ" * (LEAST_CHARACTERS - 1), False),  # twice as many bytes
        ("õ" * LEAST_CHARACTERS, True),
    ],
)
def test_a_passphrase_is_measured_in_characters(tmp_path, text, fits):
    """One less than fifteen is refused with the number; letters of any script count once."""
    (tmp_path / "pass").write_text(text + "\n", "utf-8")
    if fits:
        assert new_passphrase("the vault", str(tmp_path / "pass")) == text.encode()
        return
    with pytest.raises(BadRequest, match="at least 15 characters, and this one 14") as refused:
        new_passphrase("the vault", str(tmp_path / "pass"), where="--to-passphrase-file")
    assert refused.value.where == "--to-passphrase-file"
    assert text not in refused.value.detail


@pytest.mark.parametrize("source", [None, "prompt"])
def test_it_is_typed_twice(typed, source):
    """Whoever mistypes a new passphrase would open nothing with it ever again."""
    typed += [LONG, LONG]
    assert new_passphrase("the vault", source) == LONG.encode()
    typed += [LONG, LONG + "!"]
    with pytest.raises(BadRequest, match="differ"):
        new_passphrase("the vault", source)
    typed += [SHORT, SHORT]
    with pytest.raises(BadRequest, match="15 characters"):
        new_passphrase("the vault", source)


def test_nobody_is_asked_where_nobody_is(tmp_path, monkeypatch):
    """Without a terminal a file is asked for; a file that is missing is told."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(BadRequest, match="name a file"):
        new_passphrase("the vault", None)
    with pytest.raises(VaultLocked):
        new_passphrase("the vault", str(tmp_path / "missing"))


def test_a_short_one_is_refused_before_anything_is_made(trm, tmp_path):
    """A home, an office's vault, an officer's key and a recovery key alike."""
    (tmp_path / "short").write_text("short")
    made = tmp_path / "made"
    by = ("--passphrase-file", tmp_path / "short", "--json")
    for command in (
        ("init", "EE", "--home", made, "--authority", "desk=Desk"),
        ("keys", "generate", "--authority", "EE/desk", "--vault", made),
        ("trust", "officer-key", "EE", made),
        ("backup", "key", "--country", "EE", "--label", "officer 1", "--out", made),
    ):
        error = trm(*command, *by).json["error"]
        assert (error["code"], error["where"]) == ("bad-request", "--passphrase-file")
        assert [file.name for file in tmp_path.iterdir()] == ["short"]


def test_a_vault_under_a_short_one_goes_on_opening_with_it(trm, home):
    """Homes of before keep theirs, and are put under a longer one only; a short one changes nothing."""
    settings, short = Settings.load(home), home / "short"
    OwnKeys(settings, Unlocking(settings), listed=None).rewrap(PassphraseWrapper(b"short", UNSAFE_DEV_KDF))
    for file in (short, home / "passphrase"):
        file.write_text("short")
    refused = trm("keys", "rewrap", "--home", home, "--to-passphrase-file", short, "--json").json["error"]
    assert (refused["code"], refused["where"]) == ("bad-request", "--to-passphrase-file")
    assert trm("keys", "list", "--home", home).code == 0
