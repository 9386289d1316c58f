# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a trust repository says, in plain words: what is in force, what waits, and what exactly would be signed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.ceremony.officers import words_of
from broker.cli.input import MAX_BYTES, parsed, read_bytes
from broker.core.errors import CeremonyRefused
from broker.core.ids import CountryCode
from broker.core.trust import AuthorityKey, KeyUse, MemberKey
from broker.trust import layout
from broker.trust.changes import sentences
from broker.trust.client import Fetched, TrustClient
from broker.trust.fetching import source_of
from broker.trust.member_documents import read_member
from broker.trust.officer_keys import Officer
from broker.trust.repository import Repository
from broker.trust.staging import StagedRole
from broker.trust.strict import time_text
from broker.trust.words import fingerprint_words

__all__ = [
    "diff", "digest_words", "discard_hint", "keys", "show", "sifted", "staged_document", "tell_root", "tell_staged", "verify",
]  # fmt: skip


def show(folder: Path, *, as_json: bool) -> None:
    """Show members, who signs for whom, and what waits for signatures.

    Raises:
        CeremonyRefused: there is no trust repository, or it is damaged.
    """
    repository = Repository(folder)
    federation = repository.federation()
    members: list[dict[str, Any]] = [
        {
            "country": country,
            "status": item.status,
            "kind": item.kind,
            "reason": item.reason,
            **_signing(repository, country),
        }
        for country, item in sorted(federation.members.items())
    ]
    waiting, root = sifted(repository), _signing(repository, "root")
    newest = repository.root_file()
    words = fingerprint_words(newest.read_bytes()) if newest is not None else None
    document = {
        "federation": federation.name,
        "root_file": None if newest is None else str(newest),
        "root_words": words,
        "root": root,
        "members": members,
        "waiting": [staged_document(item) for item in waiting],
    }

    def people() -> None:
        console = output.console()
        if newest is not None:
            console.print(f"{newest}: the root that a joining country begins with; read it these words:\n  {words}")
        console.print(f"{federation.name}: {root['threshold']} of its officers must sign")
        for officer in root["officers"]:
            console.print(f"  {officer['label']} ({officer['country']})  {officer['words']}")
        output.table(
            ["country", "kind", "status", "signed by"],
            [[item["country"], item["kind"], item["status"], _ratio(item)] for item in members],
        )
        if not waiting:
            console.print("Nothing waits for signatures.")
        for item in waiting:
            _tell_state(item)
        if waiting:
            console.print("'trm trust diff' shows every change; 'trm trust sign' shows it too before it signs.")

    output.answer(document, as_json=as_json, people=people)


def keys(folder: Path, country: str, *, as_json: bool) -> None:
    """Show the keys of a country's node and of its offices as its newest document lists them, staged before published.

    Raises:
        BadRequest: the country is none.
        CeremonyRefused: there is no document of it.
    """
    name = parsed(CountryCode, country, "COUNTRY")
    path = layout.member_path(name)
    raw = Repository(folder).document(path)
    if raw is None:
        raise CeremonyRefused("There is no document of this country.", where=country)
    member = read_member(raw, name, where=path)
    listed = [_key("node", key, key.use, key.sign_until) for key in member.keys]
    listed += [
        _key(office.id, key, KeyUse.HPKE, key.seal_until) for office in member.authorities for key in office.keys
    ]

    def people() -> None:
        output.table(
            ("whose", "use", "id", "from (UTC)", "used until", "revoked"),
            [[*(item[part] for part in ("whose", "use", "id", "not_before", "used_until", "revoked_at"))] for item in listed],
            wide=("id",),
        )  # fmt: skip

    output.answer({"country": name, "keys": listed}, as_json=as_json, people=people)


def _key(whose: str, key: MemberKey | AuthorityKey, use: KeyUse, used_until: datetime) -> dict[str, Any]:
    return {
        "whose": whose,
        "use": use.value,
        "id": key.kid,
        "not_before": time_text(key.not_before),
        "used_until": time_text(used_until),
        "accept_until": time_text(key.accept_until),
        "revoked_at": None if key.revoked_at is None else time_text(key.revoked_at),
    }


def diff(folder: Path, *, as_json: bool) -> None:
    """Show every change that waits, place by place.

    Raises:
        CeremonyRefused: there is no trust repository.
    """
    waiting = sifted(Repository(folder))

    def people() -> None:
        for item in waiting:
            tell_staged(item)
        if not waiting:
            output.console().print("Nothing waits for signatures.")

    output.answer({"waiting": [staged_document(item) for item in waiting]}, as_json=as_json, people=people)


def verify(source: str, root: Path, *, as_json: bool) -> None:
    """Read a trust list as a node would, from a pinned root, and say what it gives.

    Raises:
        TrustListInvalid: a rule is broken; the error names it.
    """
    fetched = TrustClient(source_of(source), read_bytes(root, most=MAX_BYTES)).fetch()
    trust = fetched.trust
    document = {
        "version": trust.version,
        "expires": fetched.document.expires,
        "members": {
            country: {"status": item.status, "keys": len(item.keys)} for country, item in sorted(trust.members.items())
        },
        "troubles": [
            {"country": item.country, "document": item.document, "rule": item.rule, "detail": item.detail}
            for item in fetched.troubles
        ],
    }
    output.answer(document, as_json=as_json, people=lambda: _tell_verified(fetched))


def sifted(repository: Repository, wanted: Collection[str] = ()) -> tuple[StagedRole, ...]:
    """Return what waits for signatures; tell beside the answer what of others nobody could sign as it lies there.

    Raises:
        CeremonyRefused, TrustListInvalid: of a role that is wanted.
    """
    console = output.console(stderr=True)
    for left in repository.spoiled():
        if left.role in wanted:
            raise left.error
        console.print(f"{left.role} cannot be shown or signed: {output.plain(str(left.error))}")
        console.print(discard_hint(repository, left.role))
    return repository.staged()


def discard_hint(repository: Repository, role: str) -> str:
    """Return what is done about a role that is spoiled."""
    return f"Next: trm trust discard {output.word(repository.folder)} {role}; then its officers stage and sign anew."


def tell_staged(item: StagedRole) -> None:
    """Write everything that a signature would be put under."""
    console = output.console()
    _tell_state(item)
    for sentence in sentences(item.changes):
        console.print(output.plain(f"    {sentence}"))
    if not item.changes:
        console.print("    the same as before, with a new lifetime")
    console.print(f"    what is signed, in words: {digest_words(item)}")


def tell_root(repository: Repository) -> None:
    """Write what the changes are told from: a folder that somebody forged from its first root on looks whole."""
    newest = repository.root_file()
    if newest is not None:
        words = fingerprint_words(newest.read_bytes())
        output.console().print(
            f"    told from the root of these words; are they those that you keep?\n    {words}", soft_wrap=True
        )


def staged_document(item: StagedRole) -> dict[str, Any]:
    """Return what waits as JSON."""
    return {
        "role": item.role,
        "version": item.version,
        "expires": item.expires,
        "digest": item.digest,
        "words": digest_words(item),
        "changes": [change.sentence for change in item.changes],
        "signed_by": _labels(item.signed_by),
        "waiting_for": _labels(item.waiting),
        "missing": item.missing,
    }


def digest_words(item: StagedRole) -> str:
    """Return the words by which officers at different places know that they sign the same."""
    return fingerprint_words(bytes.fromhex(item.digest))


def _tell_state(item: StagedRole) -> None:
    said = "complete" if item.complete else f"{item.missing} more must sign"
    by = ", ".join(_labels(item.signed_by)) or "nobody yet"
    output.console().print(
        f"{_title(item.role)}, version {item.version}, valid until {item.expires:%Y-%m-%d}: {said} (signed by {by})"
    )


def _title(role: str) -> str:
    names = {"root": "Root (who signs for the federation)", "targets": "The federation's list (who is a member)"}
    return names.get(role, f"Documents of {role}")


def _signing(repository: Repository, role: str) -> dict[str, Any]:
    signers = repository.signers(role)
    officers = [
        {"country": item.country, "label": item.label, "keyid": item.keyid, "words": words_of(item)}
        for item in signers.officers
    ]
    return {"threshold": signers.threshold, "officers": officers}


def _ratio(item: dict[str, Any]) -> str:
    return f"{item['threshold']} of {len(item['officers'])}: " + ", ".join(
        officer["label"] for officer in item["officers"]
    )


def _labels(officers: Iterable[Officer]) -> list[str]:
    return [f"{officer.label} ({officer.country})" for officer in officers]


def _tell_verified(fetched: Fetched) -> None:
    console = output.console()
    console.print(
        f"The list is good: version {fetched.trust.version}, valid until {fetched.document.expires:%Y-%m-%d}."
    )
    output.table(
        ["country", "status", "kind", "keys", "offices"],
        [[str(c), m.status, m.kind, len(m.keys), len(m.authorities)] for c, m in sorted(fetched.trust.members.items())],
    )
    for trouble in fetched.troubles:
        whose = trouble.country or "federation"
        console.print(output.plain(f"{whose}: {trouble.rule}: {trouble.detail}"))
