# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The commands with which an office seals and opens, each in its own place and without a node."""

import json
from datetime import UTC, datetime

import pytest

from broker.core.ids import CountryCode
from broker.home import MEMBER_FILE, read_own_member
from broker.schema_files import load_catalogue, read_schema_file
from broker.testing.offices import in_clear
from broker.vault import UNSAFE_DEV_KDF

FI = CountryCode("FI")
SENDER, RECIPIENT = "EE/social-insurance-board", "FI/helsinki-wellbeing-services"
PROCEDURE = {"id": "01920000-0000-7000-8000-000000000001"}


@pytest.fixture
def desk(trm, home, federation, tmp_path, monkeypatch):
    """A vault for each of the two offices; the receiving one's key is listed, signed and published."""
    monkeypatch.setattr("broker.vault.wrapping.DEFAULT_KDF", UNSAFE_DEV_KDF)
    (tmp_path / "pass").write_text("only for this test")
    for name, office in (("ee", SENDER), ("fi", RECIPIENT)):
        own = ["--vault", tmp_path / f"{name}.vault", "--passphrase-file", tmp_path / "pass"]
        assert trm("keys", "generate", "--authority", office, *own).code == 0
        offered = trm("keys", "export-public", *own, "--out", tmp_path / f"{name}-keys.json", "--json").json
    finland = federation.homes[FI]
    trm("trust", "authority-key", finland / MEMBER_FILE, tmp_path / "fi-keys.json", "--words", offered["words"])
    federation.office.set(read_own_member(finland, FI), now=datetime.now(UTC))
    federation.office.publish(now=datetime.now(UTC))
    (tmp_path / "root.json").write_bytes(federation.office.root)
    return ["--trust", federation.office.folder, "--root", tmp_path / "root.json"]


@pytest.fixture
def clear(tmp_path):
    """A placement request as its office writes it."""
    data = json.loads(read_schema_file("examples/placement/request-aunt-in-estonia.json"))
    country, _, authority = RECIPIENT.partition("/")
    data |= {
        "sender": {"authority": SENDER.partition("/")[2]},
        "recipient": {"country": country, "authority": authority},
        "legal_basis": {"code": "B2B_82"},
    }
    file = tmp_path / "clear.json"
    file.write_text(json.dumps(in_clear(data, load_catalogue())))
    return file


def opening(tmp_path, name):
    """Return how an office names its vault."""
    return ["--vault", tmp_path / f"{name}.vault", "--passphrase-file", tmp_path / "pass"]


def as_received(tmp_path, sealed):
    """Write the message as the receiving node gives it."""
    header = {
        **{
            name: sealed[name]
            for name in ("type", "version", "recipient", "legal_basis", "purpose", "urgency", "language")
        },
        "sender": {"country": "EE", **sealed["sender"]},
        "procedure": PROCEDURE,
    }
    file = tmp_path / "received.json"
    file.write_text(json.dumps({"content": {"header": header, "body": sealed["body"]}}))
    return file


def test_a_message_is_sealed_by_one_office_and_opened_by_the_other(trm, desk, clear, tmp_path):
    """And by the sending one from its copy; nothing else opens it."""
    copy = ["--own", tmp_path / "ee-keys.json", "--copy", tmp_path / "copy.json"]
    ran = trm("seal", clear, "--out", tmp_path / "sealed.json", *desk, "--country", "EE", *copy, "--json")
    assert (ran.code, ran.json["sealed"]) == (0, ["/body/care/carer/value/contact_sealed"])
    sealed = json.loads((tmp_path / "sealed.json").read_text())
    assert "Test-Street" not in (tmp_path / "sealed.json").read_text() + (tmp_path / "copy.json").read_text()

    opened = trm("open", as_received(tmp_path, sealed), *opening(tmp_path, "fi"), "--json")
    assert (opened.code, opened.json["faults"]) == (0, [])
    assert opened.json["body"] == json.loads(clear.read_text())["body"]
    mine = trm("open", tmp_path / "copy.json", *opening(tmp_path, "ee"), "--out", tmp_path / "mine.json")
    assert mine.code == 0
    assert "Test-Street" in (tmp_path / "mine.json").read_text()
    other = trm("open", as_received(tmp_path, sealed), *opening(tmp_path, "ee"), "--json")
    assert (other.code, [fault["code"] for fault in other.json["faults"]]) == (1, ["unknown-recipient-key"])


def test_a_faulty_part_is_named_and_asked_for_anew(trm, desk, clear, tmp_path):
    """People are told not to use it; the question is a message of its own that fits its schema."""
    trm("seal", clear, "--out", tmp_path / "sealed.json", *desk, "--country", "EE")
    sealed = json.loads((tmp_path / "sealed.json").read_text())
    sealed["body"]["reasons"] = "About somebody else."
    received = as_received(tmp_path, sealed)
    ran = trm("open", received, *opening(tmp_path, "fi"), "--clarify", tmp_path / "ask.json")
    assert (ran.code, "NOT TO BE USED" in ran.out, "header-mismatch" in ran.out) == (1, True, True)
    assert trm("validate", tmp_path / "ask.json").code == 0
    assert json.loads((tmp_path / "ask.json").read_text())["procedure"] == PROCEDURE["id"]


def test_a_nodes_home_beside_the_office_gives_the_list_too(trm, desk, clear, unstarted, tmp_path):
    """Where both are one machine: list, catalogue and country are the home's."""
    ran = trm("seal", clear, "--out", tmp_path / "sealed.json", "--home", unstarted, "--json")
    assert (ran.code, len(ran.json["sealed"])) == (0, 1)
    ran = trm("submit", tmp_path / "sealed.json", "--home", unstarted, "--json")
    assert ran.code == 0


def test_what_cannot_be_sealed_leaves_nothing_behind(trm, desk, clear, tmp_path):
    """An inside that does not fit, an office without a key, half of the options."""
    data = json.loads(clear.read_text())
    out = tmp_path / "sealed.json"
    wrong = json.loads(clear.read_text())
    wrong["body"]["care"]["carer"]["value"]["contact_sealed"] = {"street": "Test-Hidden"}
    without = {**data, "recipient": {"country": "FI", "authority": "ministry-of-justice"}}
    for changed, code in ((wrong, "schema-invalid"), (without, "authority-key-missing")):
        (tmp_path / "changed.json").write_text(json.dumps(changed))
        ran = trm("seal", tmp_path / "changed.json", "--out", out, *desk, "--country", "EE")
        assert (ran.code, code in ran.err, "Test-Hidden" in ran.err) == (1, True, False)
    assert trm("seal", clear, "--out", out, *desk).code == 1
    assert trm("seal", clear, "--out", out, "--country", "EE").code == 1
    assert trm("seal", clear, "--out", out, *desk, "--country", "EE", "--own", tmp_path / "ee-keys.json").code == 1
    assert not out.exists()


def test_a_file_is_sealed_and_opened(trm, desk, tmp_path):
    """It comes back with its name; a spoiled one leaves nothing behind, and nothing is written over."""
    (tmp_path / "Test-Mari.txt").write_text("An invented photograph.")
    sealing = ["attachment", "seal", tmp_path / "Test-Mari.txt", "--from", SENDER, "--sealed-to", RECIPIENT, *desk]
    assert trm(*sealing, "--out", tmp_path / "1.sealed").code == 0
    assert trm(*sealing, "--out", tmp_path / "1.sealed").code == 1
    unsealing = ["--from", SENDER, *opening(tmp_path, "fi"), "--out", tmp_path / "out.txt"]
    ran = trm("attachment", "unseal", tmp_path / "1.sealed", *unsealing, "--json")
    assert (ran.code, ran.json["name"]) == (0, "Test-Mari.txt")
    assert (tmp_path / "out.txt").read_text() == "An invented photograph."
    raw = bytearray((tmp_path / "1.sealed").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "2.sealed").write_bytes(bytes(raw))
    unsealing[-1] = tmp_path / "spoiled.txt"
    assert trm("attachment", "unseal", tmp_path / "2.sealed", *unsealing).code == 1
    assert not (tmp_path / "spoiled.txt").exists()


def test_several_messages_are_opened_into_a_folder(trm, desk, clear, tmp_path):
    """Each under its own name; one that is none, or is faulty, keeps no other from it, and nothing is written over."""
    trm("seal", clear, "--out", tmp_path / "sealed.json", *desk, "--country", "EE")
    sealed = json.loads((tmp_path / "sealed.json").read_text())
    whole = as_received(tmp_path, sealed).rename(tmp_path / "EE.1.json")
    faulty = as_received(tmp_path, {**sealed, "body": {**sealed["body"], "reasons": "Another."}})
    (tmp_path / "none.json").write_text("[]")
    files, own = [whole, faulty, tmp_path / "none.json"], opening(tmp_path, "fi")

    ran = trm("open", *files, *own, "--out", tmp_path / "opened", "--json")

    assert ran.code == 1
    first, second, third = ran.json["files"]
    assert (first["faults"], first["opened"]) == ([], ["/body/care/carer/value/contact_sealed"])
    assert [fault["code"] for fault in second["faults"]] == ["header-mismatch"]
    assert (third["code"], "out" in third) == ("bad-request", False)
    assert {path.name for path in (tmp_path / "opened").iterdir()} == {"EE.1.json", "received.json"}
    assert (tmp_path / "opened").stat().st_mode & 0o077 == 0
    assert (
        json.loads((tmp_path / "opened" / "EE.1.json").read_text())["content"]["body"]
        == json.loads(clear.read_text())["body"]
    )

    (tmp_path / "opened" / "EE.1.json").write_text("as somebody left it")
    again = trm("open", whole, faulty, *own, "--out", tmp_path / "opened")
    assert (again.code, "2 were there before" in again.out) == (0, True)
    assert (tmp_path / "opened" / "EE.1.json").read_text() == "as somebody left it"


def test_several_messages_need_a_folder_and_names_of_their_own(trm, desk, clear, tmp_path):
    """Personal data of many children are not scrolled over a terminal, and none takes another one's place."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "clear.json").write_text(clear.read_text())
    own = opening(tmp_path, "fi")
    assert trm("open", clear, tmp_path / "x.json", *own).code == 1
    assert trm("open", clear, tmp_path / "other" / "clear.json", *own, "--out", tmp_path / "opened").code == 1
    assert trm("open", clear, tmp_path / "x.json", *own, "--out", tmp_path / "o", "--clarify", tmp_path / "c").code == 1
    assert not (tmp_path / "opened").exists()
