# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A country's own side: asking to join, and beginning to believe a federation's root."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from broker.cli import output
from broker.cli.acting import with_office
from broker.cli.ceremony.comparing import compare
from broker.cli.ceremony.officers import opened, signers_of, warn_of_one, words_of
from broker.cli.input import MAX_BYTES, read_bytes
from broker.core.errors import HomeInvalid
from broker.durable import write_durably
from broker.home import MEMBER_FILE, read_own_member, write_own_member
from broker.settings import Settings
from broker.system import SystemClock
from broker.trust import layout
from broker.trust.client import TrustClient
from broker.trust.fetching import source_of
from broker.trust.joining import prepare_joining, write_joining
from broker.trust.opening import catalogue_in_force
from broker.trust.words import fingerprint_words

if TYPE_CHECKING:
    from broker.core.trust import TrustList
    from broker.office import Office
    from broker.ports import TrustLook

__all__ = ["join", "refresh", "request", "versions"]


def request(
    home: Path,
    *,
    officers: Sequence[Path],
    threshold: int | None,
    keys: Sequence[Path],
    passphrase_file: Path | None,
    profile: Path | None,
    version: int,
    out: Path,
    as_json: bool,
) -> None:
    """Write the country's request to join, signed by its officers.

    Raises:
        BadRequest, TrustListInvalid: a file cannot be read.
        CeremonyRefused: too few of the country's officers signed.
    """
    settings = Settings.load(home)
    us = settings.country
    documents = {layout.member_path(us): read_bytes(home / MEMBER_FILE, most=MAX_BYTES)}
    if profile is not None:
        documents[layout.profile_path(us)] = read_bytes(profile, most=MAX_BYTES)
    signers = signers_of(officers, threshold)
    made = prepare_joining(
        us, signers, opened(keys, passphrase_file), documents, version=version, now=SystemClock().now()
    )
    raw = write_joining(made)
    write_durably(out, raw, mode=0o644)
    words = fingerprint_words(raw)

    def people() -> None:
        console = output.console()
        console.print(f"{out} is {us}'s request to join; it is public. Words of the file:\n  {words}")
        for officer in signers.officers:
            console.print(f"  {officer.label}: {words_of(officer)}")
        warn_of_one(signers)
        console.print("Send it to the federation's officers and read them the words over the telephone.")

    output.answer({"country": us, "file": str(out), "words": words}, as_json=as_json, people=people)


def versions(home: Path, *, as_json: bool) -> None:
    """Write into the home's public document which message and procedure versions its node takes.

    Raises:
        HomeInvalid: the document cannot be read or written.
        CatalogueInvalid, TrustListInvalid: the node's catalogue cannot be used.
    """
    settings = Settings.load(home)
    messages, procedures = catalogue_in_force(settings).speaks()
    before = read_own_member(settings.home, settings.country)
    after = replace(before, messages=messages, procedures=procedures)
    file, us = settings.home / MEMBER_FILE, settings.country
    if after != before:
        write_own_member(settings.home, after)

    def people() -> None:
        say = output.console().print
        if after == before:
            say(f"{file} lists what this node takes.")
            return
        say(f"{file} lists {len(messages)} message types and {len(procedures)} procedures that this node takes.")
        say(f"Next: trm trust update-member FOLDER {us} --member {output.word(file)}; {us}'s officers sign.")

    document = {
        "file": str(file),
        "changed": after != before,
        "messages": {str(kind): [str(item) for item in listed] for kind, listed in messages.items()},
        "procedures": {name: [str(item) for item in listed] for name, listed in procedures.items()},
    }
    output.answer(document, as_json=as_json, people=people)


def refresh(home: Path, *, as_json: bool) -> None:
    """Take the newest list that the home's source has.

    Raises:
        TrustListInvalid: the source does not answer, or what it gave breaks a rule; the previous list stays in force.
        NodeError: the store cannot be used.
    """

    async def work(office: Office) -> tuple[int, TrustLook | None, TrustList]:
        before = office.trust.current().version
        return before, await office.trust.refresh(asked=True), office.trust.current()

    before, look, trust = with_office(home, work, without_vault=True)
    found = () if look is None else (look.troubles, look.unread)
    troubles = {str(what): why for refused in found for what, why in refused.items()}

    def people() -> None:
        say = output.console().print
        say(f"Version {trust.version} is in force: {', '.join(sorted(trust.members))}. Before: {before}.")
        if look is None:
            say("The source was asked a moment ago; ask again in a minute for what is newer.")
        for what, why in sorted(troubles.items()):
            say(output.plain(f"Not taken: {what}: {why}"))

    document = {"version": trust.version, "before": before, "asked": look is not None, "not_taken": troubles}
    output.answer(document, as_json=as_json, people=people)


def join(home: Path, *, root: Path, source: str, words: str | None, as_json: bool) -> None:
    """Pin a federation's root in the home, set where its list comes from, and read it once.

    Raises:
        BadRequest: the words are not the root's, or nobody compared them.
        HomeInvalid: the home follows another federation already.
        TrustListInvalid: the list breaks a rule; the home stays as it was.
    """
    settings, raw = Settings.load(home), read_bytes(root, most=MAX_BYTES)
    compare(raw, words, what="root", reader="an officer of the federation")
    if settings.trust_root_file.exists() and settings.trust_root_file.read_bytes() != raw:
        raise HomeInvalid("This home follows another federation already.", where=str(settings.trust_root_file))
    place = source if "://" in source else str(Path(source).absolute())
    trust = TrustClient(source_of(place), raw).fetch().trust
    # A message broker's operator has no home by `trm init`.
    settings.trust_root_file.parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(settings.trust_root_file, raw, mode=0o644)
    _set_source(settings, place)
    listed = settings.country in trust.members

    def people() -> None:
        console = output.console()
        console.print(
            f"{settings.country} follows the federation's list, version {trust.version}: {', '.join(trust.members)}."
        )
        console.print(f"Next: trm serve --home {output.word(home)}" if listed else "This country is not in it yet.")

    document = {
        "version": trust.version,
        "members": sorted(trust.members),
        "listed": listed,
        "root_words": fingerprint_words(raw),
    }
    output.answer(document, as_json=as_json, people=people)


def _set_source(settings: Settings, place: str) -> None:
    """Append the table to the settings; what a person wrote there is never changed."""
    if settings.trust.source == place:
        return
    text = settings.file.read_text("utf-8")
    if "\n[trust]" in f"\n{text}":
        raise HomeInvalid(
            "The settings name another source already; change it there.", where=f"{settings.file}: trust.source"
        )
    write_durably(settings.file, f"{text.rstrip()}\n\n[trust]\nsource = {json.dumps(place)}\n".encode())
