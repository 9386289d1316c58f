# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where the passphrase comes from."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from broker.core.errors import SettingsInvalid, VaultLocked
from broker.settings import Settings
from broker.vault.passphrase import read_source, source_of, stays

PASSPHRASE = b"correct horse"


def settings(home: Path, source: str | None) -> Settings:
    """Return settings whose passphrase comes from there."""
    return Settings.checked(home, {"country": "EE", "spool_folder": "spool", "passphrase_file": source})


def _read(settings: Settings) -> bytes:
    return read_source(source_of(settings), home=settings.home)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def test_passphrase_from_file_without_its_line_end(tmp_path: Path) -> None:
    """A file gives its bytes without the line end that editors add, and nothing else is trimmed."""
    (tmp_path / "pass").write_bytes(b" correct horse \r\n")

    assert _read(settings(tmp_path, "pass")) == b" correct horse "
    assert _read(settings(tmp_path, str(tmp_path / "pass"))) == b" correct horse "


def test_passphrase_from_descriptor(tmp_path: Path) -> None:
    """An inherited descriptor is read and closed."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)

    assert _read(settings(tmp_path, f"fd:{reading}")) == PASSPHRASE
    with pytest.raises(VaultLocked):
        _read(settings(tmp_path, f"fd:{reading}"))


def test_passphrase_from_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named credential is read from systemd's folder, and the usual one without being asked for."""
    (tmp_path / "trm-passphrase").write_bytes(PASSPHRASE)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert _read(settings(tmp_path, "credential:trm-passphrase")) == PASSPHRASE
    assert _read(settings(tmp_path, None)) == PASSPHRASE


@pytest.mark.parametrize("name", ["../passphrase", "..", "", "other"])
def test_credential_outside_its_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Only a plain name inside systemd's folder is read."""
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    with pytest.raises(VaultLocked):
        _read(settings(tmp_path, f"credential:{name}"))


def test_passphrase_is_asked_for_at_a_terminal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal nobody is asked and the sentence says what to set; with one, the answer is taken."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("never read\n"))
    with pytest.raises(VaultLocked, match="passphrase_file"):
        _read(settings(tmp_path, None))

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "grün")
    assert _read(settings(tmp_path, "prompt")) == "grün".encode()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000])
def test_empty_or_endless_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    """No passphrase is not a passphrase."""
    (tmp_path / "pass").write_bytes(content)

    with pytest.raises(VaultLocked):
        _read(settings(tmp_path, "pass"))


def test_unreadable_places_are_ours(tmp_path: Path) -> None:
    """A missing file is VaultLocked, a descriptor that is no number a settings error."""
    with pytest.raises(VaultLocked):
        _read(settings(tmp_path, "missing"))
    with pytest.raises(SettingsInvalid):
        _read(settings(tmp_path, "fd:three"))


def test_only_places_that_stay_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and credentials can be read twice; a descriptor and a prompt give their passphrase once."""
    assert stays(source_of(settings(tmp_path, "pass")))
    assert not stays(source_of(settings(tmp_path, None)))
    assert not stays(source_of(settings(tmp_path, "fd:7")))
    (tmp_path / "trm-passphrase").write_bytes(PASSPHRASE)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert stays(source_of(settings(tmp_path, None)))
