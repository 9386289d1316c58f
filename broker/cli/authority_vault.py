# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm keys … --vault`: an office's own keys, in a file that no node ever opens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.input import parsed
from broker.cli.new_passphrase import new_passphrase
from broker.core.errors import BadRequest
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.durable import write_durably
from broker.system import SystemClock
from broker.trust.authority_key_documents import write_offered
from broker.trust.words import fingerprint_words
from broker.vault import PassphraseWrapper
from broker.vault.authority import AuthorityVault
from broker.vault.passphrase import read_source

__all__ = ["export_public", "generate", "list_keys", "named_office", "open_authority_vault", "rewrap"]


def generate(vault: Path, authority: str, *, passphrase_file: Path | None, as_json: bool) -> None:
    """Put a new key into the office's vault, which is made where it is missing, and show its id.

    Raises:
        BadRequest: the office is not one, or the vault is another's.
        HomeInvalid, VaultLocked: the vault cannot be written or opened.
    """
    owner, now = named_office(authority), SystemClock().now()
    if vault.exists():
        held = open_authority_vault(vault, passphrase_file)
        held.check_owner(owner)
        made = held.add_key(now)
    else:
        source = None if passphrase_file is None else str(passphrase_file)
        wrapper = PassphraseWrapper(new_passphrase(str(vault), source))
        held = AuthorityVault.create(vault, wrapper, country=owner.country, authority=owner.authority, now=now)
        made = held.public_keys()[-1].kid

    def people() -> None:
        output.console().print(
            f"In {vault}: a key of {owner.country}/{owner.authority}\n  {made}\n"
            f"It is listed nowhere yet. Next:\n"
            f"  1. Back up the vault and, apart from it, its passphrase: what is sealed to the key nobody else can read.\n"
            f"  2. trm keys export-public --vault {output.word(vault)} --out FILE, for the country's officers to list."
        )

    document = {"country": owner.country, "authority": owner.authority, "id": made, "vault": str(vault.absolute())}
    output.answer(document, as_json=as_json, people=people)


def list_keys(vault: Path, *, passphrase_file: Path | None, as_json: bool) -> None:
    """Print the ids of the office's keys, oldest first.

    Raises:
        HomeInvalid, VaultLocked: the vault cannot be opened.
    """
    held = open_authority_vault(vault, passphrase_file)
    kids = [str(key.kid) for key in held.public_keys()]

    def people() -> None:
        output.console().print(f"Keys of {held.owner.country}/{held.owner.authority}, oldest first:")
        for kid in kids:
            output.console().print(f"  {kid}")

    document = {"country": held.owner.country, "authority": held.owner.authority, "keys": kids}
    output.answer(document, as_json=as_json, people=people)


def export_public(vault: Path, *, passphrase_file: Path | None, out: Path | None, as_json: bool) -> None:
    """Write the public halves of the office's keys, with the words by which the file is recognised.

    Raises:
        HomeInvalid, VaultLocked: the vault cannot be opened.
    """
    held = open_authority_vault(vault, passphrase_file)
    raw = write_offered(held.owner, held.public_keys())
    if out is None:
        sys.stdout.write(raw.decode("utf-8"))
        return
    write_durably(out, raw, mode=0o644)
    words = fingerprint_words(raw)

    def people() -> None:
        output.console().print(
            f"{out} holds the public keys of {held.owner.country}/{held.owner.authority}. Words of the file:\n  {words}\n"
            f"Give it to whoever keeps the country's member.json, and read the words over a telephone:\n"
            f"  trm trust authority-key HOME/member.json {output.word(out)}"
        )

    document: dict[str, Any] = {"file": str(out.absolute()), "keys": len(held.public_keys()), "words": words}
    output.answer(document, as_json=as_json, people=people)


def rewrap(vault: Path, *, passphrase_file: Path | None, passphrase: str | None, as_json: bool) -> None:
    """Put the office's vault under another passphrase.

    Raises:
        BadRequest: no new passphrase is named, or one that is too short.
        HomeInvalid, VaultLocked: the vault cannot be opened or written.
    """
    if passphrase is None:
        raise BadRequest("Say where the new passphrase is.", where="--to-passphrase-file")
    held = open_authority_vault(vault, passphrase_file)
    chosen = new_passphrase(str(vault), passphrase, where="--to-passphrase-file")
    held.rewrap(PassphraseWrapper(chosen))
    output.answer(
        {"wrapper": "the new passphrase"},
        as_json=as_json,
        people=lambda: output.console().print(
            f"{vault} is under the new passphrase. Destroy backups of the old one, or the old passphrase."
        ),
    )


def named_office(text: str) -> Party:
    """Return the office that a person names as COUNTRY/AUTHORITY.

    Raises:
        BadRequest: it is not written so.
    """
    country, _, authority = text.partition("/")
    return Party(
        country=parsed(CountryCode, country, "--authority"), authority=parsed(AuthorityId, authority, "--authority")
    )


def open_authority_vault(vault: Path, passphrase_file: Path | None) -> AuthorityVault:
    """Return the office's opened vault; without a place of the passphrase a person is asked.

    Raises:
        HomeInvalid, VaultLocked: it cannot be opened.
    """
    source = "prompt" if passphrase_file is None else str(passphrase_file)
    return AuthorityVault.open(vault, PassphraseWrapper(read_source(source, home=Path.cwd())))
