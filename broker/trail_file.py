# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A part of an audit trail as one signed file that says everything needed to check it on another machine (PROTOCOL 14.4).

JSON Lines: what it is and by which keys it is signed; each entry in its place, those outside of the filter as their digest
alone; the signed head at the end; and a signature over all lines before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from broker.core import canonical
from broker.core.audit import GENESIS, AuditReason, Head, Linked, link_bytes
from broker.core.checkpoints import KeptCheckpoint
from broker.core.content import time_from_text, time_to_text
from broker.core.errors import BadRequest, BrokerError
from broker.core.ids import CountryCode, Digest, KeyId
from broker.core.trail import MAX_FINDINGS, Finding, Tampering
from broker.core.trust import KeyUse, Member, MemberKey
from broker.rows import AuditFilter
from broker.security.checkpoints import EXPORT, check_statement, read_checkpoint, read_statement, sign_statement
from broker.security.jwk import thumbprint
from broker.security.suite import Signer

__all__ = ["MAX_LINE", "FileVerdict", "Part", "TrailWriter", "check_file"]

FORMAT = "trm-audit-export/1"
MAX_LINE = 256 * 1024  # bytes; an entry has a few hundred, the first line a country's keys
_CLOSING = 2  # lines: the head and the signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a file is to hold: entries from behind one head to a signed one."""

    country: CountryCode
    made: datetime
    reason: AuditReason
    wanted: AuditFilter
    start: KeptCheckpoint | None  # what proves where it begins; None: at the beginning of the trail
    end: KeptCheckpoint
    trust_version: int
    keys: tuple[MemberKey, ...]  # by which start, end and file are signed, as the trust list has them


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerdict:
    """What became of checking a file."""

    about: Mapping[str, Any]  # its first line
    entries: int
    shown: int  # the others stand there as their digest
    end: Head  # that was signed
    kids: tuple[KeyId, ...]
    listed: bool  # the keys are those of the trust list that was at hand; False: the file alone says whose they are
    findings: tuple[Finding, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


# --- writing ----------------------------------------------------------------------------------------------------------


class TrailWriter:
    """Writes the lines of one file in their order: `begin`, `add` as often as there are entries, `end`."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._hashed = sha256()
        self._lines = 0

    def begin(self) -> bytes:
        """Return the first line."""
        return self._hash(_line(_about(self._part)))

    def add(self, links: Iterable[Linked]) -> bytes:
        """Return the lines of the next entries."""
        return b"".join(self._hash(self._entry(linked)) for linked in links)

    def end(self, signer: Signer) -> bytes:
        """Return the two closing lines: the signed head, and the signature over everything before."""
        head = self._hash(_line({"checkpoint": canonical.parse(self._part.end.raw)}))
        stated = _stated(self._part.country, self._hashed.hexdigest(), self._lines)
        return head + _line({"signature": canonical.parse(sign_statement(stated, EXPORT, signer))})

    def _entry(self, linked: Linked) -> bytes:
        entry = canonical.parse(linked.raw)
        if _matches(entry, self._part.wanted):
            return _line({"entry": entry, "position": linked.position})
        return _line({"digest": linked.digest, "position": linked.position})

    def _hash(self, line: bytes) -> bytes:
        self._hashed.update(line)
        self._lines += 1
        return line


def _stated(country: CountryCode, digest: str, lines: int) -> bytes:
    return canonical.dump({"country": country, "digest": digest, "lines": lines, "v": 1})


def _about(part: Part) -> dict[str, Any]:
    wanted = part.wanted
    return {
        "country": part.country,
        "filter": {
            "procedures": None if wanted.procedures is None else list(wanted.procedures),
            "since": None if wanted.since is None else time_to_text(wanted.since),
            "until": None if wanted.until is None else time_to_text(wanted.until),
        },
        "format": FORMAT,
        "keys": [_key(key) for key in part.keys],
        "made": time_to_text(part.made),
        "reason": part.reason,
        "start": None if part.start is None else canonical.parse(part.start.raw),
        "trust": part.trust_version,
    }


def _matches(entry: Mapping[str, Any], wanted: AuditFilter) -> bool:
    """Whether an entry is to be shown; its times compare as texts."""
    return (
        (wanted.since is None or entry["at"] >= time_to_text(wanted.since))
        and (wanted.until is None or entry["at"] < time_to_text(wanted.until))
        and (wanted.procedures is None or entry["procedure"] in wanted.procedures)
    )


def _key(key: MemberKey) -> dict[str, Any]:
    return {
        "accept_until": time_to_text(key.accept_until),
        "kid": key.kid,
        "not_before": time_to_text(key.not_before),
        "public": canonical.b64url_encode(key.public),
        "revoked_at": None if key.revoked_at is None else time_to_text(key.revoked_at),
        "sign_until": time_to_text(key.sign_until),
        "use": key.use,
    }


def _line(value: Mapping[str, Any]) -> bytes:
    return canonical.dump(value) + b"\n"


# --- checking ---------------------------------------------------------------------------------------------------------


def check_file(lines: Iterable[bytes], listed: Member | None) -> FileVerdict:
    """Return what is wrong with a file, and where.

    Args:
        lines: its lines with their ends.
        listed: the country's entry in a trust list at hand; None: only the file says whose keys these are.

    Raises:
        BadRequest: it is no such file, or ends too early; nothing can be said about it.
    """
    try:
        return _Checking(iter(lines), listed).verdict()
    except (BrokerError, ValueError, TypeError, KeyError, AttributeError, StopIteration) as error:
        raise BadRequest(f"This is no whole export of an audit trail ({type(error).__name__}).") from None


class _Checking:
    """One pass over a file. It states no links: they follow from the digests, and the head at the end says if rightly."""

    def __init__(self, lines: Iterator[bytes], listed: Member | None) -> None:
        first = next(lines)
        self._lines = lines
        self._hashed, self._count = sha256(first), 1
        self._about = canonical.parse(first.removesuffix(b"\n"))
        if self._about["format"] != FORMAT:
            raise ValueError("another format")
        brought = Member(country=CountryCode(self._about["country"]), keys=tuple(map(_key_of, self._about["keys"])))
        self._member = brought if listed is None else listed
        self._listed = listed is not None
        self._limited = any(limit is not None for limit in self._about["filter"].values())
        start = self._about["start"]
        self._start = GENESIS if start is None else read_checkpoint(canonical.dump(start), self._member).head
        self._position, self._chain = self._start.position, str(self._start.chain)
        self._entries = self._shown = 0
        self._findings: list[Finding] = []

    def verdict(self) -> FileVerdict:
        """Return what is wrong."""
        stated, signature = self._take_entries()
        end = read_checkpoint(canonical.dump(canonical.parse(stated)["checkpoint"]), self._member).head
        if end.position != self._position:
            kind = Tampering.CUT_OFF if end.position > self._position else Tampering.DOUBLED
            self._note(kind, min(end.position, self._position) + 1, max(end.position, self._position))
        elif end.chain != self._chain:
            self._note(Tampering.REWRITTEN, self._start.position + 1, end.position)
        if not self._is_signed(signature):
            self._note(Tampering.NOT_SIGNED, self._start.position + 1, self._position)
        return FileVerdict(
            about=self._about,
            entries=self._entries,
            shown=self._shown,
            end=end,
            kids=tuple(key.kid for key in self._member.keys if key.use is not KeyUse.HPKE),
            listed=self._listed,
            findings=tuple(self._findings),
        )

    def _take_entries(self) -> tuple[bytes, bytes]:
        """Follow every entry and return the two closing lines."""
        held: list[bytes] = []
        for line in self._lines:
            held.append(line.removesuffix(b"\n"))
            if len(held) > _CLOSING:
                self._take(held.pop(0))
        stated, signature = held
        self._hash(stated)
        return stated, signature

    def _take(self, line: bytes) -> None:
        self._hash(line)
        value = canonical.parse(line)
        position = value["position"]
        if position != self._position + 1:
            kind = Tampering.REMOVED if position > self._position else Tampering.DOUBLED
            self._note(kind, min(self._position + 1, position), max(self._position, position - 1))
        if "entry" in value:
            digest, self._shown = sha256(canonical.dump(value["entry"])).hexdigest(), self._shown + 1
        else:
            digest = Digest(value["digest"])
            if not self._limited:
                self._note(Tampering.WITHHELD, position, position)
        self._chain = sha256(link_bytes(self._chain, position, digest)).hexdigest()
        self._position, self._entries = position, self._entries + 1

    def _hash(self, line: bytes) -> None:
        self._hashed.update(line + b"\n")
        self._count += 1

    def _note(self, kind: Tampering, first: int, last: int) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(Finding(kind=kind, first=first, last=last))

    def _is_signed(self, line: bytes) -> bool:
        try:
            statement = read_statement(canonical.dump(canonical.parse(line)["signature"]), EXPORT)
            check_statement(statement, self._member, at=time_from_text(self._about["made"]))
        except BrokerError:
            return False
        return statement.payload == _stated(self._member.country, self._hashed.hexdigest(), self._count)


def _key_of(value: Mapping[str, Any]) -> MemberKey:
    use, public, revoked = KeyUse(value["use"]), canonical.b64url_decode(value["public"]), value["revoked_at"]
    return MemberKey(
        kid=thumbprint(use, public),  # never what the file says: people compare it with what the federation says
        use=use,
        public=public,
        not_before=time_from_text(value["not_before"]),
        sign_until=time_from_text(value["sign_until"]),
        accept_until=time_from_text(value["accept_until"]),
        revoked_at=None if revoked is None else time_from_text(revoked),
    )
