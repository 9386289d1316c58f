# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the doctor sees and what it makes of it."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from broker.api.local_issuer import LocalIssuer
from broker.backup.noting import LastBackup
from broker.backup.recovery import NamedKey, accept
from broker.core.audit import AuditAction, AuditRow
from broker.core.ids import AuthorityId, CountryCode, KeyId, MessageId
from broker.core.trust import Authority, KeyUse, Member, MemberKey, MemberKind, MemberStatus, TrustList
from broker.doctor import Finding, Verdict, examine, judging
from broker.office import open_office
from broker.rows import MessageTimes
from broker.security.backup_file import RecoveryKey
from broker.security.jwk import public_of
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.storage.schema import exclusive
from broker.system import SystemClock
from broker.testing.federation import Federation
from broker.testing.offices import with_office_keys
from broker.testing.store_rows import outgoing
from broker.transport.spool import create
from broker.vault import open_vault

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


# --- judging --------------------------------------------------------------------------------------------------------


def _key(use: KeyUse, *, days: int, revoked: bool = False) -> MemberKey:
    return MemberKey(
        kid=KeyId(f"{use:-<43}"),
        use=use,
        public=b"",
        not_before=NOW - DAY,
        sign_until=NOW + days * DAY,
        accept_until=NOW + (days + 60) * DAY,
        revoked_at=NOW - HOUR if revoked else None,
    )


def _member(*keys: MemberKey) -> Member:
    return Member(country=EE, keys=keys)


def _every_key(days: int) -> list[MemberKey]:
    return [_key(use, days=days) for use in KeyUse]


def message(direction: str, peer: CountryCode = FI, **times: datetime) -> MessageTimes:
    """A message of our timeline; `made` is when its author wrote it, `at` when we stored it."""
    made = MessageId.first_of(times.pop("made", NOW - HOUR))
    return MessageTimes(direction=direction, id=made, peer=peer, at=times.pop("at", NOW - HOUR), **times)


def test_keys_are_well_while_each_use_has_one_for_long():
    """A key of each use, here and listed, with more than two weeks left, is well."""
    keys = _every_key(100)
    found = judging.judge_keys(_member(*keys), [one.kid for one in keys], NOW)

    assert found.verdict is Verdict.OK
    assert "100 days" in found.sentence


def test_keys_that_end_soon_are_a_warning():
    """The newest key of a use counts; with less than two weeks left somebody must act."""
    keys = [*_every_key(100)[1:], _key(KeyUse.ED25519, days=13)]
    found = judging.judge_keys(_member(*keys), [one.kid for one in keys], NOW)

    assert found.verdict is Verdict.WARNING
    assert "Ed25519" in found.sentence
    assert found.advice


@pytest.mark.parametrize("use", list(KeyUse))
def test_a_use_without_a_usable_key_is_a_failure(use: KeyUse):
    """Not listed, not here, revoked or over: each leaves the use without a key, and the use is named."""
    others = [one for one in _every_key(100) if one.use is not use]
    held = [one.kid for one in _every_key(100)]
    cases = {
        "not listed": (_member(*others), held),
        "not here": (_member(*_every_key(100)), [one.kid for one in others]),
        "revoked": (_member(*others, _key(use, days=100, revoked=True)), held),
        "over": (_member(*others, _key(use, days=0)), held),
    }
    for name, (ours, kids) in cases.items():
        found = judging.judge_keys(ours, kids, NOW)
        assert (found.verdict, use in found.sentence) == (Verdict.FAILED, True), name


def test_offices_are_judged_by_the_keys_that_others_seal_to():
    """Who has none is named, which is no fault; a key that ends soon is a warning."""
    two = tuple(Authority(id=AuthorityId(name), name=name) for name in ("court", "desk"))
    bare = replace(_member(), authorities=two)
    found = judging.judge_offices(bare, NOW)
    assert (found.verdict, "court, desk" in found.sentence) == (Verdict.OK, True)
    listed = with_office_keys(bare, start=NOW)
    assert judging.judge_offices(listed, NOW).sentence == "2 of 2 offices have a key that others can seal to."
    late = judging.judge_offices(listed, NOW + timedelta(days=352))
    assert (late.verdict, "authority-key" in late.advice) == (Verdict.WARNING, True)
    assert judging.judge_offices(None, NOW).verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("serving", "missing", "verdict", "words"),
    [
        ({}, [], Verdict.OK, ""),
        ({"drop": ["desk"]}, [], Verdict.OK, "drop"),
        ({"drop": ["dezk"]}, [], Verdict.WARNING, "dezk (drop) court, desk"),
        ({"telex": ["desk"]}, ["telex"], Verdict.FAILED, "telex"),
    ],
)
def test_an_adapter_serves_an_office_that_there_is(serving: Any, missing: list[str], verdict: Verdict, words: str):
    """A mistyped office's system would wait for ever, while its messages lie with the officers; nothing else tells that."""
    two = tuple(Authority(id=AuthorityId(name), name=name) for name in ("court", "desk"))
    found = judging.judge_adapters(serving, missing, replace(_member(), authorities=two))

    assert found.verdict is verdict
    assert all(word in f"{found.sentence} {found.advice}" for word in words.split())


async def test_an_adapter_is_looked_at_without_being_made(home: Path):
    """One that no package brings is a failure of its own, since no node starts with it; the office of another is looked up."""
    settings = home / "settings.toml"
    stated = settings.read_text()
    settings.write_text(stated + '\n[adapters.telex]\nauthorities = ["dezk"]\n')
    findings = await _found(home)
    assert [one.name for one in findings.values() if one.verdict is Verdict.FAILED] == ["adapters"]
    settings.write_text(stated + '\n[adapters.drop]\nuse = "filedrop"\nauthorities = ["dezk"]\nfolder = "drop"\n')
    assert "dezk (drop)" in (await _found(home))["adapters"].sentence


def test_a_country_that_is_no_member_has_no_keys():
    """A trust list without us is a failure of its own."""
    assert judging.judge_keys(None, [], NOW).verdict is Verdict.FAILED


def test_a_clock_without_peers_is_only_held_against_the_past():
    """With nothing to compare, an hour forward is not seen, a step back is."""
    assert judging.judge_clock(NOW, not_before=NOW - HOUR, skew={}).verdict is Verdict.OK
    assert judging.judge_clock(NOW, not_before=NOW + HOUR, skew={}).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("skew", "verdict", "word"),
    [
        (timedelta(0), Verdict.OK, "agrees"),
        (MINUTE, Verdict.OK, "agrees"),
        (3 * MINUTE, Verdict.WARNING, "ahead of FI"),
        (-3 * MINUTE, Verdict.WARNING, "behind FI"),
        (11 * MINUTE, Verdict.FAILED, "11 minutes ahead of FI"),
        (-11 * MINUTE, Verdict.FAILED, "11 minutes behind FI"),
    ],
)
def test_a_clock_is_judged_by_its_peers(skew: timedelta, verdict: Verdict, word: str):
    """Two minutes are noticed; at ten, peers begin to park what we send."""
    found = judging.judge_clock(NOW, not_before=NOW, skew={FI: skew, SE: timedelta(0)})

    assert (found.verdict, word in found.sentence) == (verdict, True)


def test_one_peer_that_differs_from_the_others_may_be_the_wrong_one():
    """Where only one differs, or there is but one, either clock may be wrong; where several do, the one here is."""
    one = judging.judge_clock(NOW, not_before=NOW, skew={FI: 11 * MINUTE, SE: timedelta(0)})
    both = judging.judge_clock(NOW, not_before=NOW, skew={FI: 11 * MINUTE, SE: 11 * MINUTE})

    alone = judging.judge_clock(NOW, not_before=NOW, skew={FI: -11 * MINUTE})

    assert all("telephone" in found.advice and "FI" in found.advice for found in (one, alone))
    assert "chrony" in both.advice
    assert "telephone" not in both.advice


def test_times_of_messages_bound_the_skew():
    """What reached us before it was made shows us behind; what was delivered before we wrote it shows us ahead."""
    behind = message("in", FI, made=NOW, at=NOW - 5 * MINUTE)
    ahead = message("out", SE, at=NOW, delivered=NOW - 7 * MINUTE)

    assert judging.skews([behind, ahead]) == {FI: -5 * MINUTE, SE: 7 * MINUTE}


@pytest.mark.parametrize("made", ["later today", "after the last year"])
def test_an_id_of_the_future_is_told_by_no_clock(made: str):
    """A message that came was composed at most ten minutes ahead; its id says what its author likes."""
    row = message("in", FI, made=NOW + HOUR, at=NOW)
    if made == "after the last year":
        row = replace(row, id=MessageId("ffffffff-ffff-7fff-bfff-ffffffffffff"))

    assert judging.skews([row]) == {FI: timedelta(0)}


def test_slow_messages_are_no_skew():
    """A message that took hours, and one that is still on its way, say nothing about a clock."""
    slow = message("in", FI, made=NOW - 5 * HOUR, at=NOW)
    late = message("out", SE, at=NOW - 5 * HOUR, delivered=NOW)
    waiting = message("out", SE, at=NOW)

    assert judging.skews([slow, late, waiting]) == {FI: timedelta(0), SE: timedelta(0)}
    assert judging.skews([waiting]) == {}  # nobody is said to agree who was never heard


@pytest.mark.parametrize(
    ("free", "verdict"), [(5 * 1024**3, Verdict.OK), (500 * 1024**2, Verdict.WARNING), (50 * 1024**2, Verdict.FAILED)]
)
def test_the_disk_is_judged_by_what_is_free(free: int, verdict: Verdict):
    """Less than a gibibyte is a warning, less than 100 mebibytes a failure."""
    assert judging.judge_disk(free, Path("/home")).verdict is verdict


def _members(*others: Member) -> TrustList:
    return TrustList(version=1, members={one.country: one for one in (Member(country=EE), *others)})


def _judge_peers(trust: TrustList, *rows: MessageTimes) -> Finding:
    return judging.judge_peers(trust, EE, rows, now=NOW, patience=HOUR)


def test_peers_are_listed_with_when_they_were_heard():
    """A received message and every receipt are signs of life; who never gave one is said."""
    trust = _members(Member(country=FI), Member(country=SE))
    found = _judge_peers(trust, message("out", FI, at=NOW - DAY, delivered=NOW - 3 * HOUR, opened=NOW - 2 * HOUR))

    assert found.verdict is Verdict.OK
    assert found.sentence == "FI heard 2 hours ago; SE never heard yet."


def test_a_peer_that_does_not_answer_is_a_warning():
    """A message without any receipt beyond the patience is a reason to telephone; a refused one was answered."""
    trust = _members(Member(country=FI))
    silent = _judge_peers(trust, message("out", FI, at=NOW - 2 * HOUR))
    refused = _judge_peers(trust, message("out", FI, at=NOW - 2 * HOUR, refused=NOW - HOUR))
    patient = _judge_peers(trust, message("out", FI, at=NOW - MINUTE))

    assert (silent.verdict, "FI" in silent.advice) == (Verdict.WARNING, True)
    assert (refused.verdict, patient.verdict) == (Verdict.OK, Verdict.OK)


def test_a_lonely_node_and_a_suspended_peer_are_said():
    """Paper counterparts have no node to hear from; a suspended country is named."""
    lonely = _judge_peers(_members(Member(country=SE, kind=MemberKind.PAPER)))
    suspended = _judge_peers(_members(Member(country=FI, status=MemberStatus.SUSPENDED)))

    assert lonely.verdict is Verdict.WARNING
    assert "Suspended: FI" in suspended.sentence


def test_what_waits_for_people_is_a_warning():
    """An attention list that is not empty is not well."""
    assert judging.judge_attention(0).verdict is Verdict.OK
    assert judging.judge_attention(2).verdict is Verdict.WARNING


FIRST, SECOND = (
    NamedKey(
        country=EE, label=f"officer {number}", key=RecoveryKey(public=public_of(KeyUse.HPKE, bytes([number]) * 32))
    )
    for number in (1, 2)
)


@pytest.mark.parametrize(
    ("hours", "opens", "accepted", "said", "advice"),
    [
        (7, [FIRST, SECOND], [FIRST, SECOND], "7 hours ago. 2 recovery keys", ""),
        (36, [FIRST, SECOND], [FIRST, SECOND], "1 day ago. 2 recovery keys", ""),
        (37, [FIRST, SECOND], [FIRST, SECOND], "1 day ago", "backup make"),
        (None, [], [FIRST, SECOND], "No backup", "backup make"),
        (None, [], [], "no recovery key", "backup accept"),
        (7, [FIRST], [], "no recovery key", "backup accept"),
        (7, [FIRST], [FIRST, SECOND], "does not open for: officer 2", "backup make"),
        (7, [FIRST], [FIRST], "One recovery key alone", "backup key"),
        (7, [FIRST, SECOND], [FIRST], "still opens with a recovery key that was ended", "backup make"),
    ],
)
def test_a_backup_is_judged_by_its_age_and_its_keys(
    hours: float | None, opens: list[NamedKey], accepted: list[NamedKey], said: str, advice: str
):
    """Made within a day and a half, open to every officer of now and to two at least: anything less is told."""
    kids = frozenset(named.kid for named in opens)
    last = None if hours is None else LastBackup(at=NOW - hours * HOUR, kids=kids)
    found = judging.judge_backup(last, accepted, NOW)

    assert found.verdict is (Verdict.WARNING if advice else Verdict.OK)
    assert said in found.sentence
    assert advice in found.advice


# --- examining ------------------------------------------------------------------------------------------------------


def off_by(off: timedelta) -> SystemClock:
    """Return a clock that is off by a fixed time."""
    return SystemClock(machine=lambda: datetime.now(UTC) + off)


@pytest.fixture
async def home(federation: Federation) -> Path:
    """A complete home whose node has run once, and was backed up."""
    create(federation.spool_folder, [EE, FI])
    LocalIssuer.create(federation.homes[EE] / TOKEN_KEY_FILE, us=EE, clock=SystemClock())
    settings = Settings.load(federation.homes[EE])
    for named in (FIRST, SECOND):
        accept(settings.home, named)
    office = open_office(settings, open_vault(settings))
    backed_up = AuditRow(
        at=SystemClock().now(), actor="uid-0", action=AuditAction.BACKED_UP, subject="0" * 64, detail=f"{FIRST.kid} {SECOND.kid}"
    )  # fmt: skip
    await office.store.run(lambda tx: tx.audit(backed_up))
    await office.close()
    return settings.home


async def _found(home: Path, clock: SystemClock | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in await examine(home, clock or SystemClock())}


def _files(home: Path) -> dict[str, int]:
    """Every file with its time of change; the database's own working files come and go."""
    files = [path for path in home.rglob("*") if path.is_file() and "trm.db-" not in path.name]
    return {str(path.relative_to(home)): path.stat().st_mtime_ns for path in files}


async def test_a_complete_home_is_well(home: Path):
    """Every check is ok, none is left out, and nothing in the home has changed."""
    before = _files(home)
    findings = await _found(home)

    after = _files(home)
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}, findings
    assert list(findings) == [
        "settings", "disk", "store", "clock", "trust", "keys", "contents", "offices", "adapters", "catalogue", "tokens", "backup",
        "certificate", "broker", "peers", "attention",
    ]  # fmt: skip
    assert before == after


def broken(name: str, home: Path) -> None:
    """Break one thing."""
    breaks: dict[str, Any] = {
        "trust": lambda: (home / "trust" / "root.json").write_text("{}"),
        "keys": lambda: (home / "passphrase").write_text("another"),
        "tokens": lambda: (home / TOKEN_KEY_FILE).unlink(),
        "store": lambda: (home / "trm.db").write_bytes(b"no database at all, and long enough to be looked at" * 20),
        "broker": lambda: (home.parent / "spool").rename(home.parent / "elsewhere"),
    }
    breaks[name]()


@pytest.mark.parametrize("name", ["trust", "keys", "tokens", "store", "broker"])
async def test_one_broken_thing_is_one_failure_with_advice(home: Path, name: str):
    """The broken thing fails with a sentence and advice; whatever needs it is skipped, all else is still looked at."""
    broken(name, home)
    findings = await _found(home)

    failed = {finding.name for finding in findings.values() if finding.verdict is Verdict.FAILED}
    skipped = {finding.name for finding in findings.values() if finding.verdict is Verdict.SKIPPED}
    assert failed == {name}
    assert findings[name].sentence
    assert findings[name].advice
    hidden = {"keys": {"contents"}, "store": {"contents", "backup", "peers", "attention"}}
    assert skipped == hidden.get(name, set())


async def test_unreadable_settings_skip_all_else(home: Path):
    """Without settings nothing else can be looked at, and nothing is counted as good."""
    (home / "settings.toml").write_text("nonsense = 1")
    findings = await _found(home)

    assert findings.pop("settings").verdict is Verdict.FAILED
    assert {finding.verdict for finding in findings.values()} == {Verdict.SKIPPED}
    assert len(findings) == 15


async def test_a_key_of_a_case_that_does_not_open_is_counted(home: Path):
    """Whatever else is stored opens: the doctor says how many do not, and names no case."""
    settings = Settings.load(home)
    office = open_office(settings, open_vault(settings))
    for number, country in enumerate((FI, SE)):
        entry = outgoing(number, recipient=country)
        await office.store.run(lambda tx, entry=entry: tx.add_outbox(entry, next_at=SystemClock().now()))
    await office.close()
    assert (await _found(home))["contents"].sentence == "All 2 keys that contents are stored under open."

    with exclusive(settings.store_url) as connection:
        scope = connection.execute(text("SELECT min(scope) FROM case_key")).scalar_one()
        connection.execute(text("UPDATE case_key SET wrapped = zeroblob(61) WHERE scope = :scope"), {"scope": scope})
    found = await _found(home)
    assert found["contents"].verdict is Verdict.FAILED
    assert found["contents"].sentence == "1 of the 2 keys that contents are stored under do not open."
    assert {name for name, one in found.items() if one.verdict is Verdict.FAILED} == {"contents"}


async def test_a_home_that_is_not_there_is_a_sentence(tmp_path: Path):
    """A mistyped folder is said to be missing, and what makes one; one without a node is told alike."""
    for folder in (tmp_path / "missing", tmp_path):
        settings = (await _found(folder))["settings"]

        assert "trm init" in settings.sentence
        assert settings.advice.startswith("Name the node's own folder with --home")


async def test_a_home_of_another_account_is_never_made_anew(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Who runs the command under the wrong account is told whose home it is, and not to make a new one beside it."""
    if os.geteuid() == 0:
        os.chown(home, 54321, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    settings = (await _found(home))["settings"]

    assert "belongs to the account" in settings.sentence
    assert "trm init" not in settings.sentence + settings.advice
    assert "none is made anew" in settings.advice


async def test_a_clock_set_back_is_a_failure(home: Path):
    """It is wrong, or was: that stands before keys and certificates, which a wrong clock makes look ended."""
    findings = await _found(home, off_by(-DAY))

    assert findings["clock"].verdict is Verdict.FAILED
    assert "it was fast then" in findings["clock"].advice
    order = list(findings)
    assert order.index("clock") < min(order.index("keys"), order.index("certificate"), order.index("broker"))


async def test_keys_are_judged_by_the_doctors_clock(home: Path):
    """In 360 days the keys of today are about to end."""
    assert (await _found(home, off_by(360 * DAY)))["keys"].verdict is Verdict.WARNING


async def test_a_readable_vault_is_a_warning(home: Path):
    """Private files that others can read are named with the command that mends it."""
    (home / "vault.json").chmod(0o644)
    finding = (await _found(home))["settings"]

    assert (finding.verdict, "chmod 600" in finding.advice) == (Verdict.WARNING, True)


async def test_a_spool_without_a_peers_folder_is_a_warning(home: Path):
    """Messages to a country without a folder cannot be put anywhere; the folders to make are named."""
    (home.parent / "spool" / "FI").rename(home.parent / "FI-away")
    finding = (await _found(home))["broker"]

    assert (finding.verdict, "FI" in finding.advice) == (Verdict.WARNING, True)


async def test_a_spool_that_is_not_there_is_told_as_one(home: Path):
    """Who has no message broker is not sent to look after one."""
    broken("broker", home)
    finding = (await _found(home))["broker"]

    assert finding.verdict is Verdict.FAILED
    assert "spool_folder" in finding.advice
    assert "message broker" not in finding.advice


@pytest.mark.parametrize("barred", ["spool", "spool/EE/claimed", "spool/FI/new", "spool/FI/tmp", "EE"])
async def test_a_folder_that_may_not_be_written_is_a_failure(home: Path, barred: str, monkeypatch: pytest.MonkeyPatch):
    """Another account's folder, or a disk that is mounted read-only, is named with whom to ask; no check breaks on it."""
    closed, access = home.parent / barred, os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and access(path, mode))
    findings = await _found(home)
    finding = findings["disk" if closed == home else "broker"]

    assert [one.name for one in findings.values() if one.verdict is Verdict.FAILED] == [finding.name]
    assert finding.sentence.startswith("This account may not")
    assert str(home.parent) in finding.sentence
    assert finding.advice.startswith("Give this account the right to write there")


async def test_folders_to_make_are_named_as_a_shell_takes_them(home: Path, tmp_path: Path):
    """Also where the spool lies in a folder with a blank in its name."""
    spaced = tmp_path / "our spool"
    (home.parent / "spool").rename(spaced)
    settings = home / "settings.toml"
    settings.write_text(settings.read_text().replace(str(home.parent / "spool"), str(spaced)))
    (spaced / "FI" / "new").rmdir()
    finding = (await _found(home))["broker"]

    assert finding.advice == f"Run: mkdir -p '{spaced}'/FI/{{tmp,new,claimed}}"


async def test_a_backup_that_is_old_is_a_warning(home: Path):
    """Two days after the last one somebody must look at the timer."""
    assert (await _found(home, off_by(2 * DAY)))["backup"].verdict is Verdict.WARNING


async def test_a_node_that_never_ran_has_no_store_yet(home: Path):
    """A missing database is no failure before the first start, and none is made by looking."""
    for file in _files(home):
        if file.startswith("trm.db"):
            (home / file).unlink()
    findings = await _found(home)

    assert findings["store"].verdict is Verdict.SKIPPED
    assert "trm.db" not in _files(home)
    (home / "trm.db").touch()  # as a database that PostgreSQL has just made: there, and without any table
    assert (await _found(home))["store"].verdict is Verdict.SKIPPED


async def test_a_broker_that_is_away_is_a_sentence_without_the_password(home: Path):
    """The address is named, the password in it is not."""
    settings = home / "settings.toml"
    text = settings.read_text().replace('transport = "spool"', 'transport = "rabbitmq"')
    settings.write_text(f'amqp_url = "amqp://EE:topsecret@127.0.0.1:1/trm"\n{text}')
    finding = (await _found(home))["broker"]

    assert finding.verdict is Verdict.FAILED
    assert "127.0.0.1:1/trm" in finding.sentence
    assert "topsecret" not in str(finding)


async def test_a_broker_is_not_asked_without_the_certificate(home: Path):
    """One thing is missing and one thing is told: nobody goes to start a message broker that runs."""
    settings = home / "settings.toml"
    text = settings.read_text().replace('transport = "spool"', 'transport = "rabbitmq"')
    settings.write_text(f'amqp_url = "amqps://127.0.0.1:1/trm"\n{text}')
    found = await _found(home)

    assert found["certificate"].verdict is Verdict.FAILED
    assert "trm broker certificate" in found["certificate"].advice
    assert found["broker"].verdict is Verdict.SKIPPED


async def test_a_home_that_has_not_joined_is_told_to_join(home: Path):
    """A new home's first doctor names the next step, not a fault of a file."""
    (home / "trust" / "root.json").unlink()
    finding = (await _found(home))["trust"]

    assert finding.verdict is Verdict.FAILED
    assert "no root of the federation here yet" in finding.sentence
    assert "trm trust join" in finding.advice


async def test_a_check_that_breaks_down_hides_no_other(home: Path, monkeypatch: pytest.MonkeyPatch):
    """An unforeseen fault is that check's failure, by class and without its text."""
    monkeypatch.setattr(judging, "judge_disk", lambda *_: 1 / 0)
    findings = await _found(home)

    assert findings["disk"].verdict is Verdict.FAILED
    assert "ZeroDivisionError" in findings["disk"].sentence
    assert findings["store"].verdict is Verdict.OK


def test_findings_are_values():
    """A finding is changed by replacing it."""
    finding = judging.ok("disk", "Room enough.")

    assert replace(finding, advice="none").sentence == finding.sentence
    assert judging.skipped("disk", "no home").verdict is Verdict.SKIPPED


# --- certificate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "others", "verdict"),
    [
        (31, False, Verdict.OK),
        (31, True, Verdict.WARNING),
        (29, False, Verdict.WARNING),
        (8, False, Verdict.WARNING),
        (6, False, Verdict.FAILED),
        (-1, False, Verdict.FAILED),
    ],
)
def test_a_certificate_is_judged_by_the_days_left(days: int, others: bool, verdict: Verdict):
    """A month before the end is a warning, a week is a failure, a key that others can read is a warning."""
    found = judging.judge_certificate(NOW + days * DAY, NOW, open_to_others=others)

    assert found.verdict is verdict
    assert bool(found.advice) is (verdict is not Verdict.OK)
