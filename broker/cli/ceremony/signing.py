# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Signing what was shown, gathering signatures, and publishing what is complete."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from broker.cli import output
from broker.cli.ceremony.officers import open_key, opened
from broker.cli.ceremony.showing import digest_words, discard_hint, sifted, staged_document, tell_root, tell_staged
from broker.core.errors import BadRequest, CeremonyRefused
from broker.system import SystemClock
from broker.trust.folder import TrustFolder
from broker.trust.officer_keys import OfficerKey
from broker.trust.offline import pack
from broker.trust.repository import Repository
from broker.trust.staging import StagedRole

__all__ = ["bundle", "collect", "publish", "sign"]


def sign(
    folder: Path,
    *,
    keys: Sequence[Path],
    roles: Sequence[str],
    seen: Sequence[str],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Show what these officers may sign, ask, and sign it.

    Args:
        folder: of the repository.
        keys: files of the officers who are present.
        roles: only these; none: all that wait.
        seen: digests that were looked at before ('trm trust diff --json'): signed without asking.
        passphrase_file: of the keys, for machines.
        as_json: answer for machines.

    Raises:
        BadRequest: nobody can be asked, or the answer was no.
        CeremonyRefused: none of the keys signs anything that waits, or it changed meanwhile.
        CeremonyRefused, TrustListInvalid: of a role that was asked for: nobody can sign it as it lies there.
    """
    repository = Repository(folder)
    waiting = [item for item in sifted(repository, roles) if not roles or item.role in roles]
    officers = opened(keys, passphrase_file)
    signed: list[StagedRole] = []
    for item in waiting:
        able = [key for key in officers if key.officer in item.waiting]
        if able:
            _agreed(repository, item, seen, as_json=as_json)
            signed.append(_signed(repository, item, able))
    if not signed:
        raise CeremonyRefused("Nothing waits for a signature of these officers.", where=str(folder))
    missing = sum(item.missing for item in signed)

    def people() -> None:
        console = output.console()
        for item in signed:
            console.print(
                f"{item.role}: signed; " + ("complete." if item.complete else f"{item.missing} more must sign.")
            )
        console.print(
            "Next: " + ("the next officer signs." if missing else f"trm trust publish {output.word(folder)} --key FILE")
        )

    output.answer({"signed": [staged_document(item) for item in signed]}, as_json=as_json, people=people)


def collect(folder: Path, copy: Path, *, as_json: bool) -> None:
    """Take over signatures that were made in a copy of the folder.

    Raises:
        CeremonyRefused: there is no trust repository, or no copy.
    """
    repository = Repository(folder)
    if not TrustFolder(copy).staged_roles():
        raise CeremonyRefused(
            "Nothing waits for signatures in that folder: is it the copy, and its medium mounted?", where=str(copy)
        )
    taken = repository.take_signatures(copy)
    document = {"taken": taken, "waiting": [staged_document(item) for item in sifted(repository)]}
    output.answer(document, as_json=as_json, people=lambda: output.console().print(f"{taken} signatures taken over."))


def publish(folder: Path, *, key: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Publish what is complete, under a new snapshot and timestamp; exit code 1 where something is left out for good.

    Raises:
        CeremonyRefused: nodes would refuse the result; nothing was published.
    """
    repository = Repository(folder)
    published = repository.publish(open_key(key, passphrase_file), now=SystemClock().now())
    left_out = {item.role: item.error for item in (*repository.spoiled(), *published.left_out)}
    waiting = [item for item in repository.staged() if item.role not in left_out]

    def people() -> None:
        console = output.console()
        console.print(f"Published as version {published.version} in {repository.folder}.")
        for item in waiting:
            console.print(f"{item.role} waits for {item.missing} more signatures and is not in it.")
        for role, error in left_out.items():
            console.print(f"{role} is left out, what was published of it stays: {output.plain(str(error))}")
            console.print(discard_hint(repository, role))
        console.print("Nodes take it within 15 minutes; sites without a connection need 'trm trust bundle'.")

    document = {
        "version": published.version,
        "waiting": [staged_document(item) for item in waiting],
        "left_out": [{"role": role, **output.error_document(error)} for role, error in left_out.items()],
    }
    output.answer(document, as_json=as_json, people=people)
    if left_out:
        raise typer.Exit(output.EXIT_REFUSED)


def bundle(folder: Path, out: Path, *, as_json: bool) -> None:
    """Write what is published as one file for sites without a connection.

    Raises:
        CeremonyRefused: there is no trust repository.
        NodeError: the file cannot be written.
    """
    Repository(folder)
    pack(folder, out)
    output.answer({"file": str(out)}, as_json=as_json, people=lambda: output.console().print(f"{out} holds the list."))


def _agreed(repository: Repository, item: StagedRole, seen: Sequence[str], *, as_json: bool) -> None:
    if item.digest in seen:
        return
    if as_json or not sys.stdin.isatty():
        raise BadRequest(
            "Nobody can be shown what is signed here; give the digest that 'trm trust diff --json' showed.",
            where="--seen",
        )
    tell_staged(item)
    tell_root(repository)
    last = digest_words(item).split()[-1]
    if input(f"To sign this, type the last word ({last}): ").strip().casefold() != last:
        raise BadRequest("Not signed.", where=item.role)


def _signed(repository: Repository, item: StagedRole, able: Sequence[OfficerKey]) -> StagedRole:
    for key in able:
        item = repository.sign(item.role, item.digest, key)
    return item
