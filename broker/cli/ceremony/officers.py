# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Officers' keys at a command: made, read from files, opened for one signature."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from broker.cli import output
from broker.cli.input import MAX_BYTES, parsed, read_bytes
from broker.cli.new_passphrase import new_passphrase
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode
from broker.trust.officer_keys import Officer, OfficerKey, create_officer_key, open_officer_key, read_officer
from broker.trust.signers import Signers
from broker.trust.words import fingerprint_words
from broker.vault.passphrase import read_source

__all__ = ["create", "open_key", "opened", "public_officers", "signers_of", "warn_of_one", "words_of"]


def create(country: str, files: Sequence[Path], *, passphrase_file: Path | None, as_json: bool) -> None:
    """Make one officer's key per file, each under a passphrase of its own, and show its fingerprint.

    Raises:
        BadRequest: the country is none, nobody can be asked for a passphrase, or it is too short.
        NodeError: a file exists already or cannot be written.
    """
    us = parsed(CountryCode, country, "COUNTRY")
    source = None if passphrase_file is None else str(passphrase_file)
    made = [
        (file, create_officer_key(file, us, file.stem, passphrase=new_passphrase(str(file), source))) for file in files
    ]
    keys = [
        {"file": str(file), "label": item.label, "keyid": item.keyid, "words": words_of(item)} for file, item in made
    ]

    def people() -> None:
        console = output.console()
        for key in keys:
            console.print(f"{key['file']}: the key of {key['label']} ({us})\n  words: {key['words']}")
        console.print(
            "Each officer keeps one such file and, apart from it, its passphrase, away from any network; whoever has both\n"
            "signs in the officer's name. The '.public.json' files beside them are for the ceremony."
        )

    output.answer({"country": us, "keys": keys}, as_json=as_json, people=people)


def words_of(officer: Officer) -> str:
    """Return the words that stand for an officer's public key."""
    return fingerprint_words(officer.public)


def public_officers(files: Iterable[Path]) -> tuple[Officer, ...]:
    """Return the officers of public documents.

    Raises:
        BadRequest: a file cannot be read.
        TrustListInvalid: it is not an officer's public document.
    """
    return tuple(read_officer(read_bytes(file, most=MAX_BYTES), where=str(file)) for file in files)


def signers_of(files: Sequence[Path], threshold: int | None) -> Signers:
    """Return the officers of these files; without a threshold, more than half of them must sign.

    Raises:
        BadRequest, TrustListInvalid: as `public_officers`.
        CeremonyRefused: the threshold does not fit.
    """
    officers = public_officers(files)
    return Signers(officers=officers, threshold=threshold if threshold is not None else len(officers) // 2 + 1)


def opened(files: Iterable[Path], passphrase_file: Path | None) -> tuple[OfficerKey, ...]:
    """Return the opened keys of these files.

    Raises:
        BadRequest: nobody can be asked for a passphrase.
        HomeInvalid, VaultLocked: a key cannot be opened.
    """
    return tuple(open_key(file, passphrase_file) for file in files)


def open_key(file: Path, passphrase_file: Path | None) -> OfficerKey:
    """Return the opened key of one file.

    Raises:
        BadRequest: nobody can be asked for a passphrase.
        HomeInvalid, VaultLocked: the key cannot be opened.
    """
    if passphrase_file is not None:
        return open_officer_key(file, _from(passphrase_file))
    _must_be_asked()
    return open_officer_key(file, getpass.getpass(f"Passphrase of {file}: ").encode("utf-8"))


def _from(passphrase_file: Path) -> bytes:
    return read_source(str(passphrase_file), home=Path.cwd())


def _must_be_asked() -> None:
    if not sys.stdin.isatty():
        raise BadRequest("Nobody can be asked for a passphrase here; name a file.", where="--passphrase-file")


def warn_of_one(signers: Signers) -> None:
    """Say to people that one officer alone decides: nothing forbids it, and nobody should find it out later."""
    if signers.threshold == 1:
        output.console().print(
            "TAKE CARE: one officer alone can change all that is signed here, and so can whoever steals that one key. Name "
            "three officers, of whom two must sign."
        )
