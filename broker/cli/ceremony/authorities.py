# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Taking an office's public keys into its country's document, after their words were compared."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from broker.cli import output
from broker.cli.ceremony.comparing import compare
from broker.cli.input import MAX_BYTES, overlap_of, read_bytes, read_theft, read_time
from broker.core.authority_keys import listed_for, replaced_for
from broker.core.errors import BadRequest
from broker.core.trust import AuthorityKey
from broker.durable import write_durably
from broker.system import SystemClock
from broker.trust.authority_key_documents import read_offered
from broker.trust.member_documents import read_member, write_member
from broker.trust.strict import time_text

__all__ = ["list_authority_key"]


def list_authority_key(
    member_file: Path,
    offered_file: Path,
    *,
    words: str | None,
    start: str | None,
    overlap_hours: int | None,
    stolen_since: str | None,
    as_json: bool,
) -> None:
    """Write an office's new key into the country's document.

    Raises:
        BadRequest: a time is not one, the words are others, the office is another country's or not in the document, or no key is new.
        TrustListInvalid: a file does not have its form.
    """
    raw = read_bytes(offered_file, most=MAX_BYTES)
    offered = read_offered(raw, where=str(offered_file))
    owner = offered.owner
    member = read_member(read_bytes(member_file, most=MAX_BYTES), owner.country, where=str(member_file))
    compare(raw, words, what="public keys", reader=f"somebody of {owner.country}/{owner.authority}")
    now = SystemClock().now().replace(microsecond=0)
    begin = _start(start, now)
    if stolen_since is not None:
        since = read_theft(stolen_since, now, alone=start is None and overlap_hours is None)
        changed = replaced_for(member, owner.authority, offered.keys, start=begin, since=since)
    else:
        overlap = overlap_of(overlap_hours)
        changed = listed_for(member, owner.authority, offered.keys, start=begin, overlap=overlap)
    write_durably(member_file, write_member(changed), mode=0o644)
    office = changed.authority(owner.authority)
    keys = office.keys if office is not None else ()

    def people() -> None:
        rows = ((str(key.kid), f"{key.not_before:%Y-%m-%d %H:%M}", _until(key)) for key in keys)
        output.table(("key", "from (UTC)", "sealed to until (UTC)"), rows, wide=("key",))
        output.console().print(
            f"Nothing changes for other countries yet. Next: trm trust update-member FOLDER {owner.country} --member "
            f"{output.word(member_file)}; {owner.country}'s officers sign, and it is published."
        )

    document = {
        "country": owner.country,
        "authority": owner.authority,
        "document": str(member_file.absolute()),
        "begins": time_text(begin),
        "keys": [str(key.kid) for key in keys],
    }
    output.answer(document, as_json=as_json, people=people)


def _until(key: AuthorityKey) -> str:
    return "revoked" if key.revoked_at is not None else f"{key.seal_until:%Y-%m-%d %H:%M}"


def _start(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now
    begin = read_time(text, "--from")
    if begin < now:
        raise BadRequest("A key does not begin in the past; leave the option out for now.", where="--from")
    return begin
