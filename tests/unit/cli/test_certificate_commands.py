# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate from the request to the revocation, as the two people type it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.certificates.identity import key_bytes, new_key
from broker.core.ids import CountryCode
from broker.testing.federation import Federation


@pytest.fixture
def ca(trm, tmp_path: Path) -> tuple[object, ...]:
    """An authority, and the options that name it."""
    ran = trm("broker", "ca", "init", tmp_path / "ca", "--passphrase-file", tmp_path / "ca.pass", "--json")
    assert ran.code == 0, ran.err
    return ("--ca", tmp_path / "ca", "--passphrase-file", tmp_path / "ca.pass")


def test_a_country_gets_renews_and_loses_its_certificate(trm, home: Path, ca: tuple[object, ...], tmp_path: Path):
    """Request, issue, install with the authority's words, show; again without them; revoke both."""
    words = trm("broker", "ca", "show", ca[1], *ca[2:], "--json").json["words"]
    serials = []
    for first in (True, False):
        asked = trm("broker", "certificate", "request", "--home", home, "--out", tmp_path / "ask.json")
        assert (asked.code, "readable by this user only" in asked.out) == (0, True)
        issued = trm("broker", "certificate", "issue", tmp_path / "ask.json", "--home", home, *ca, "--json").json
        assert (issued["country"], issued["file"]) == ("EE", str(tmp_path / "EE-broker.pem"))
        assert (issued["authority_words"], len(words.split())) == (words, 15)
        known = ("--authority", words.upper()) if first else ()
        assert trm("broker", "certificate", "install", issued["file"], "--home", home, *known).code == 0
        shown = trm("broker", "certificate", "show", "--home", home, "--json").json
        assert (shown["serial"], shown["days_left"]) == (issued["serial"], 89)
        assert (shown["key_private"], shown["request_pending"]) == (True, False)
        assert shown["authorities_words"] == [words]
        serials.append(shown["serial"])
    assert len(set(serials)) == 2
    assert stat.S_IMODE((home / "broker-tls" / "node.pem").stat().st_mode) == 0o600

    revoked = trm("broker", "certificate", "revoke", "EE", *ca, "--out", tmp_path, "--json").json["revoked"]
    states = [row["state"] for row in trm("broker", "ca", "show", ca[1], *ca[2:], "--json").json["issued"]]
    assert (revoked, states) == (serials, ["revoked", "revoked"])
    assert len(list((tmp_path / "crl").glob("*.r0"))) == 1


def test_the_authoritys_passphrase_is_as_long_as_any_other_new_one(trm, tmp_path: Path):
    """Fourteen characters are refused and make nothing; fifteen do."""
    for characters, code in ((14, 1), (15, 0)):
        (tmp_path / "pass").write_text("x" * characters)
        ran = trm("broker", "ca", "init", tmp_path / "ca", "--passphrase-file", tmp_path / "pass", "--json")
        assert (ran.code, (tmp_path / "ca").exists()) == (code, code == 0), ran.err


def test_a_revocation_list_that_cannot_be_read_is_not_taken_for_an_empty_one(
    trm, ca: tuple[object, ...], tmp_path: Path, unreadable: Callable[[Path], None]
):
    """A broker that is given no list would let in whom it kept out; the operator hears which folder it is."""
    unreadable(tmp_path / "ca" / "crl")
    ran = trm("broker", "certificate", "host", "localhost", *ca, "--out", tmp_path / "tls", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (3, "home-invalid")
    assert ran.json["error"]["where"] == str(tmp_path / "ca" / "crl")


def test_a_first_certificate_without_fingerprint_is_refused(trm, home: Path, ca: tuple[object, ...], tmp_path: Path):
    """The error says what to compare by telephone, and the home stays as it was but for the request's key."""
    trm("broker", "certificate", "request", "--home", home, "--out", tmp_path / "ask.json")
    trm("broker", "certificate", "issue", tmp_path / "ask.json", "--home", home, *ca)
    ran = trm("broker", "certificate", "install", tmp_path / "EE-broker.pem", "--home", home, "--json")

    assert (ran.code, ran.json["error"]["code"]) == (3, "certificate-invalid")
    assert [file.name for file in (home / "broker-tls").iterdir()] == ["pending.pem"]


def test_other_words_and_endless_files_are_refused(trm, home: Path, ca: tuple[object, ...], tmp_path: Path):
    """A misheard word believes no authority; a file without an end is told as one."""
    trm("broker", "certificate", "request", "--home", home, "--out", tmp_path / "ask.json")
    issued = trm("broker", "certificate", "issue", tmp_path / "ask.json", "--home", home, *ca, "--json").json
    words = issued["authority_words"].split()
    ran = trm(
        "broker", "certificate", "install", issued["file"], "--home", home,
        "--authority", " ".join([*words[1:], words[0]]), "--json",
    )  # fmt: skip
    assert ran.json["error"]["code"] == "certificate-invalid"
    (tmp_path / "endless").write_bytes(b" " * (256 * 1024 + 1))
    for command in (
        ("issue", tmp_path / "endless", "--home", home, *ca),
        ("install", tmp_path / "endless", "--home", home),
    ):
        assert trm("broker", "certificate", *command, "--json").json["error"]["code"] == "request-too-large"
    assert [file.name for file in (home / "broker-tls").iterdir()] == ["pending.pem"]


def test_a_suspended_country_gets_none(
    trm, unstarted: Path, federation: Federation, ca: tuple[object, ...], tmp_path: Path
):
    """The request was signed while it was active; the list of now decides."""
    trm("broker", "certificate", "request", "--home", unstarted, "--out", tmp_path / "ask.json")
    now = datetime.now(UTC)
    federation.office.repository.suspend(CountryCode("EE"), "A drill.", now=now)
    federation.office.publish(now=now)
    ran = trm("broker", "certificate", "issue", tmp_path / "ask.json", "--home", unstarted, *ca, "--json")

    assert ran.json["error"]["code"] == "certificate-invalid"
    assert not (tmp_path / "EE-broker.pem").exists()
    assert trm("broker", "ca", "show", ca[1], *ca[2:], "--json").json["issued"] == []


def test_a_certificate_brought_along_must_fit_its_key(trm, home: Path, ca: tuple[object, ...], tmp_path: Path):
    """Another key than the certificate's is refused."""
    trm("broker", "certificate", "request", "--home", home, "--out", tmp_path / "ask.json")
    issued = trm("broker", "certificate", "issue", tmp_path / "ask.json", "--home", home, *ca, "--json").json
    (tmp_path / "other.key").write_bytes(key_bytes(new_key()))
    command = ("broker", "certificate", "install", issued["file"], "--home", home, "--authority", issued["authority"])

    refused = trm(*command, "--key", tmp_path / "other.key", "--json").json
    assert refused["error"]["detail"] == "The certificate is not for this key."
    assert trm(*command).code == 0


def test_the_brokers_folder_holds_what_the_configuration_names(trm, ca: tuple[object, ...], tmp_path: Path):
    """Every file that the shipped configuration reads is there; the key is not for everybody."""
    ran = trm("broker", "certificate", "host", "broker.example", "127.0.0.1", *ca, "--out", tmp_path / "tls", "--json")
    configuration = (Path(__file__).parents[3] / "deploy/rabbitmq/advanced.config").read_text()

    assert ran.json["hosts"] == ["broker.example", "127.0.0.1"]
    for name in ("federation-ca.pem", "broker.pem", "broker.key", "crl"):
        assert f'"/etc/rabbitmq/tls/{name}"' in configuration
        assert (tmp_path / "tls" / name).exists()
    assert stat.S_IMODE((tmp_path / "tls" / "broker.key").stat().st_mode) == 0o640


def test_revoking_what_was_never_issued_is_refused(trm, ca: tuple[object, ...]):
    """A typing error ends nobody's access."""
    assert trm("broker", "certificate", "revoke", "EE", *ca, "--json").json["error"]["code"] == "bad-request"
