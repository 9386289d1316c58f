# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the doctor makes of what it saw: pure functions, each returns one finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from broker.backup.noting import LastBackup
from broker.backup.recovery import NamedKey
from broker.certificates.folder import END_FAILURE, END_WARNING
from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.trust import WARN_DAYS, KeyUse, Member, MemberKind, MemberStatus, TrustList
from broker.rows import MessageTimes
from broker.running.vitals import DISK_FAILURE

__all__ = [
    "BACKUP_WARNING", "Finding", "Verdict", "failed", "judge_adapters", "judge_attention", "judge_backup", "judge_certificate", "judge_clock", "judge_contents", "judge_disk", "judge_keys", "judge_offices", "judge_peers", "judge_trust", "ok",
    "skews", "skipped", "warning",
]  # fmt: skip

KEY_WARNING = timedelta(days=14)
SKEW_WARNING = timedelta(minutes=2)
SKEW_FAILURE = timedelta(minutes=10)  # from then on peers park what we send (PROTOCOL 8.16)
BACKUP_WARNING = timedelta(hours=36)  # one is made every night: that a night was missed is told before the next one
DISK_WARNING = 1024**3  # bytes


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: what was found, and what to do about it."""

    name: str
    verdict: Verdict
    sentence: str
    advice: str = ""


# --- judging --------------------------------------------------------------------------------------------------------


def judge_trust(trust: TrustList, now: datetime) -> Finding:
    """Judge whether the trust list, and each member's part of it, holds for long enough."""
    sentence = f"Version {trust.version} names {len(trust.members)} countries."
    ends = {f"{country}'s entry": member.expires for country, member in trust.members.items()}
    for name, end in ({"the trust list": trust.expires} | ends).items():
        if end is not None and now >= end - timedelta(days=WARN_DAYS):
            advice = "Its officers renew it: trm trust sign, then trm trust publish."
            return warning("trust", f"{sentence} But {name} ends on {end:%Y-%m-%d}.", advice)
    return ok("trust", sentence)


def judge_keys(member: Member | None, held: Iterable[KeyId], now: datetime) -> Finding:
    """Judge whether each use has a key that the trust list allows now and whose private part is here."""
    if member is None:
        return failed(
            "keys",
            "The trust list does not name this node's country.",
            "Have the federation add it: trm trust request makes the file for its officers.",
        )
    here, left = frozenset(held), {}
    for use in KeyUse:
        usable = [key for key in member.keys if key.use is use and key.usable(now) and key.kid in here]
        if not usable:
            advice = "Restore the vault from its backup, or have new keys entered in the trust list."
            return failed("keys", f"No {use} key is both usable now by the trust list and in the vault.", advice)
        left[use] = max(key.sign_until for key in usable) - now
    use, shortest = min(left.items(), key=lambda item: item[1])
    sentence = f"All {len(left)} uses have a key; the first to end is {use}, in {shortest.days} days."
    if shortest < KEY_WARNING:
        return warning("keys", sentence, "Make new keys and have them entered in the trust list.")
    return ok("keys", sentence)


def judge_contents(number: int, spoilt: int) -> Finding:
    """Judge whether the keys open that contents are stored under."""
    if spoilt:
        sentence = f"{spoilt} of the {number} keys that contents are stored under do not open."
        return failed("contents", sentence, "Look at the disk, and restore the database from its newest backup.")
    return ok("contents", f"All {number} keys that contents are stored under open.")


def judge_offices(member: Member | None, now: datetime) -> Finding:
    """Judge to which offices of this country others can seal what no node may read, and for how long."""
    if member is None:
        return skipped("offices", "the trust list does not name this node's country")
    keys = {office.id: office.key_for_sealing(now) for office in member.authorities}
    without = sorted(str(name) for name, key in keys.items() if key is None)
    ends = sorted((key.seal_until, str(name)) for name, key in keys.items() if key is not None)
    sentence = f"{len(ends)} of {len(keys)} offices have a key that others can seal to."
    if without:
        sentence += f" Without one: {', '.join(without)}."
    if ends and ends[0][0] - now < KEY_WARNING:
        advice = (
            f"Have {ends[0][1]} make its next key, and list it: trm keys generate --authority, trm trust authority-key."
        )
        return warning("offices", f"{sentence} The first ends on {ends[0][0]:%Y-%m-%d}.", advice)
    return ok("offices", sentence)


def judge_certificate(ends: datetime, now: datetime, *, open_to_others: bool) -> Finding:
    """Judge how long the certificate for the message broker lasts, and who can read its key."""
    left = ends - now
    sentence = f"The certificate for the message broker ends on {ends:%Y-%m-%d}, in {left.days} days."
    advice = (
        "Run 'trm broker certificate request', and 'install' what the broker's operator returns; no restart is needed."
    )
    if left < END_FAILURE:
        return failed("certificate", sentence, advice)
    if left < END_WARNING:
        return warning("certificate", sentence, advice)
    if open_to_others:
        return warning(
            "certificate", "Others on this machine can read the certificate's key.", "Run: chmod 600 node.pem"
        )
    return ok("certificate", sentence)


def judge_backup(last: LastBackup | None, accepted: Sequence[NamedKey], now: datetime) -> Finding:
    """Judge whether what was lost today could be made anew, and whether more than one officer could do it."""
    if not accepted:
        advice = "Two officers make one each, on a machine without network: trm backup key; here: trm backup accept."
        return warning("backup", "There is no recovery key, and so no backup of this node.", advice)
    again = "Run 'trm backup make', and see why its timer did not."
    if last is None:
        return warning("backup", "No backup of this node is on record.", again)
    sentence = f"The last backup was read back whole {_span(now - last.at)} ago."
    if now - last.at > BACKUP_WARNING:
        return warning("backup", sentence, again)
    closed = ", ".join(named.label for named in accepted if named.kid not in last.kids)
    if closed:
        return warning("backup", f"{sentence} It does not open for: {closed}.", "Run 'trm backup make' once more.")
    if not last.kids <= {named.kid for named in accepted}:
        return warning(
            "backup",
            f"{sentence} It still opens with a recovery key that was ended.",
            "Run 'trm backup make' once more.",
        )
    if len(accepted) == 1:
        advice = "Have a second officer make a recovery key: trm backup key, then trm backup accept."
        return warning("backup", f"{sentence} One recovery key alone opens it: with it every backup is lost.", advice)
    return ok("backup", f"{sentence} {len(accepted)} recovery keys open it.")


def skews(rows: Iterable[MessageTimes]) -> dict[CountryCode, timedelta]:
    """Return per peer by how much our clock is at least ahead of theirs (negative: behind), where messages show it.

    What a peer made cannot have reached us before; what a peer received cannot have left us later.
    """
    found: dict[CountryCode, timedelta] = {}
    for row in rows:
        if row.direction == "in":
            behind = max(0.0, row.id.made - row.at.timestamp())
            # One that says it was made later than any believed message is told by no clock: its id is its author's to write.
            shown = -timedelta(seconds=behind) if behind <= SKEW_FAILURE.total_seconds() else timedelta(0)
        elif row.delivered is None:  # nothing was heard yet
            continue
        else:
            shown = max((row.at - row.delivered, timedelta(0)))
        if abs(shown) >= abs(found.get(row.peer, timedelta(0))):
            found[row.peer] = shown
    return found


def judge_clock(now: datetime, *, not_before: datetime, skew: Mapping[CountryCode, timedelta]) -> Finding:
    """Judge the clock by what must lie in its past, and by the times in messages to and from peers."""
    advice = "Compare the clock with the time, set it, and let it be kept right (chrony or systemd-timesyncd)."
    if now < not_before - timedelta(seconds=1):
        past = not_before.strftime("%Y-%m-%d %H:%M UTC")
        sentence = f"The clock says an earlier time than this node has already seen ({past})."
        return failed("clock", sentence, f"{advice} If it is right now, it was fast then: this ends at that time.")
    if not skew:
        return ok("clock", "The clock is past everything on this disk; there are no peers' times to compare with yet.")
    peer, worst = max(skew.items(), key=lambda item: abs(item[1]))
    if abs(worst) < SKEW_WARNING:
        return ok("clock", f"The clock agrees with {len(skew)} of {len(skew)} peers heard from.")
    direction = "ahead of" if worst > timedelta(0) else "behind"
    sentence = f"The clock is at least {_span(abs(worst))} {direction} {peer}'s."
    others = sum(1 for value in skew.values() if abs(value) >= SKEW_WARNING)
    if others <= 1:
        advice = f"{advice} If it is right, {peer}'s is wrong: telephone its operator."
    if abs(worst) >= SKEW_FAILURE:
        return failed("clock", sentence, advice)
    return warning("clock", sentence, advice)


def judge_adapters(
    serving: Mapping[str, Sequence[AuthorityId]], missing: Sequence[str], member: Member | None
) -> Finding:
    """Judge whether each adapter is installed, and serves offices that there are.

    Args:
        serving: the adapters of the settings, and the offices that each is to serve.
        missing: those of them that no installed package has.
        member: this country's entry in the trust list.
    """
    if missing:
        advice = "Mend their tables in the settings, or install what brings them: the node does not start."
        return failed("adapters", f"There is no adapter of the name {', '.join(missing)}.", advice)
    if not serving:
        return ok("adapters", "None is set: officers use the API and 'trm'.")
    if member is None:
        return skipped("adapters", "the trust list does not name this node's country")
    ours = {office.id for office in member.authorities}
    strange = [f"{office} ({name})" for name, offices in serving.items() for office in offices if office not in ours]
    if strange:
        sentence = f"The trust list has no office that an adapter is to serve: {', '.join(strange)}."
        advice = f"Mend `authorities`: nothing reaches that system. The trust list has: {', '.join(sorted(ours))}."
        return warning("adapters", sentence, advice)
    return ok("adapters", f"Installed, each for offices of the trust list: {', '.join(serving)}.")


def judge_disk(free: int, where: Path) -> Finding:
    """Judge the room left on the disk of the home."""
    sentence = f"{free / 1024**3:.1f} GiB are free at {where}."
    advice = "Free room or enlarge the disk: without room nothing more is accepted or received."
    if free < DISK_FAILURE:
        return failed("disk", f"Only {free // 1024**2} MiB are free at {where}.", advice)
    return warning("disk", sentence, advice) if free < DISK_WARNING else ok("disk", sentence)


def judge_peers(
    trust: TrustList, us: CountryCode, rows: Sequence[MessageTimes], *, now: datetime, patience: timedelta
) -> Finding:
    """Judge which countries answer: who was heard last when, and what waits for a sign of life."""
    peers = [m for c, m in sorted(trust.members.items()) if c != us and m.kind is MemberKind.STATE]
    if not peers:
        return warning("peers", "The trust list names no other country.", "Ask the federation for the full list.")
    silent = [m.country for m in peers if _waiting(rows, m.country, now - patience)]
    suspended = [m.country for m in peers if m.status is not MemberStatus.ACTIVE]
    said = [_heard(rows, m.country, now) for m in peers]
    sentence = "; ".join(said) + "." + (f" Suspended: {', '.join(suspended)}." if suspended else "")
    if silent:
        advice = f"Telephone the operators of {', '.join(silent)}: messages have waited there for more than {_span(patience)}."
        return warning("peers", sentence, advice)
    return ok("peers", sentence)


def judge_attention(number: int) -> Finding:
    """Judge whether people are up to date with what they were called for."""
    if number:
        return warning("attention", f"{number} entries wait for a person.", "See them: trm attention list.")
    return ok("attention", "Nothing waits for a person.")


def _waiting(rows: Iterable[MessageTimes], peer: CountryCode, before: datetime) -> bool:
    return any(
        row.direction == "out"
        and row.peer == peer
        and row.delivered is None
        and row.refused is None
        and row.at < before
        for row in rows
    )


def _heard(rows: Iterable[MessageTimes], peer: CountryCode, now: datetime) -> str:
    heard = [
        moment
        for row in rows
        if row.peer == peer
        for moment in (
            (row.at,) if row.direction == "in" else (row.delivered, row.handed_over, row.opened, row.refused)
        )
        if moment is not None
    ]
    return f"{peer} heard {_span(now - max(heard))} ago" if heard else f"{peer} never heard yet"


def _span(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {name}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"


def ok(name: str, sentence: str) -> Finding:
    """Return that all is well."""
    return Finding(name=name, verdict=Verdict.OK, sentence=sentence)


def warning(name: str, sentence: str, advice: str) -> Finding:
    """Return that somebody should look."""
    return Finding(name=name, verdict=Verdict.WARNING, sentence=sentence, advice=advice)


def failed(name: str, sentence: str, advice: str) -> Finding:
    """Return that the node cannot do its work."""
    return Finding(name=name, verdict=Verdict.FAILED, sentence=sentence, advice=advice)


def skipped(name: str, ground: str) -> Finding:
    """Return that there was nothing to look at; never counted as good."""
    return Finding(name=name, verdict=Verdict.SKIPPED, sentence=f"Not looked at: {ground}.")
