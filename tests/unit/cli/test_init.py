# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Making a home, and what is refused."""

import io
import json
import shutil
import stat

import pytest

from broker.api.local_issuer import LocalIssuer
from broker.core.ids import CountryCode
from broker.settings import Settings
from broker.trust.member_documents import parse_member
from broker.vault import open_vault

OFFICE = ("--authority", "desk=Desk of Tests")


@pytest.fixture
def make(trm, tmp_path):
    """Run `trm init` with a passphrase file."""

    def run(*more, country="EE"):
        return trm("init", country, "--home", tmp_path / "ee", "--passphrase-file", tmp_path / "secret", *more)

    return run


def test_a_home_is_complete(make, tmp_path):
    """The home has settings that load, a vault that its passphrase opens, an issuer, a spool; only its owner reads it."""
    ran = make(*OFFICE)

    settings = Settings.load(tmp_path / "ee")
    vault = open_vault(settings)
    assert ran.code == 0
    assert settings.default_authority == "desk"
    assert len(vault.public_keys()) == 3
    assert (tmp_path / "ee" / "spool" / "EE" / "new").is_dir()
    for private in ("", "settings.toml", "vault.json", "token-key.pem"):
        assert stat.S_IMODE((tmp_path / "ee" / private).stat().st_mode) & 0o077 == 0


def test_an_interrupted_home_is_told_as_one(make, tmp_path, monkeypatch):
    """What has settings is complete; what has none says what may be done about it, and nothing is written over."""
    with monkeypatch.context() as patched:
        patched.setattr(LocalIssuer, "create", lambda *_, **__: _interrupt())
        assert make(*OFFICE).code == 130
    left = {file.name: file.read_bytes() for file in (tmp_path / "ee").iterdir() if file.is_file()}
    assert left.keys() == {"vault.json", "member.json"}
    again = make(*OFFICE, "--json")

    told = again.json["error"]
    assert (again.code, told["code"], told["where"]) == (3, "home-invalid", str(tmp_path / "ee" / "vault.json"))
    assert "Remove the folder only if its node was never listed" in told["detail"]
    assert {file.name: file.read_bytes() for file in (tmp_path / "ee").iterdir() if file.is_file()} == left
    shutil.rmtree(tmp_path / "ee")
    assert make(*OFFICE).code == 0


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_the_public_document_is_printed_and_holds_no_secret(make, tmp_path):
    """What goes to the federation parses as a member, lists the office and the keys' public parts alone."""
    ran = make(*OFFICE, "--json")

    member = parse_member(CountryCode("EE"), ran.json["member"])
    assert [office.name for office in member.authorities] == ["Desk of Tests"]
    assert member.messages
    assert (tmp_path / "secret").read_text().strip() not in ran.out
    assert '"d"' not in ran.out
    assert '"priv"' not in ran.out
    assert json.loads((tmp_path / "ee" / "member.json").read_text()) == ran.json["member"]


def test_people_are_told_the_next_steps(make):
    """The answer for people names the key ids, the federation, joining it, the backup and the doctor."""
    told = make(*OFFICE).out

    for word in ("Ed25519", "ML-DSA-65", "HPKE-9-KE", "member.json", "trm trust join", "Back up", "trm doctor"):
        assert word in told


def test_a_home_is_never_written_over(make, tmp_path):
    """A second init is refused and leaves every file as it was."""
    make(*OFFICE)
    before = {path.name: path.read_bytes() for path in (tmp_path / "ee").iterdir() if path.is_file()}
    again = make(*OFFICE, "--json")

    after = {path.name: path.read_bytes() for path in (tmp_path / "ee").iterdir() if path.is_file()}
    assert (again.code, again.json["error"]["code"]) == (3, "home-invalid")
    assert before == after


@pytest.mark.parametrize(
    ("country", "more", "where"),
    [
        ("Estonia", OFFICE, "COUNTRY"),
        ("UK", OFFICE, "COUNTRY"),
        ("EE", (), "--authority"),
        ("EE", ("--authority", "Desk of Tests"), "--authority"),
        ("EE", ("--authority", "node=Node"), "--authority"),
    ],
)
def test_what_is_no_country_or_office_is_refused(make, tmp_path, country, more, where):
    """A wrong country or office is refused before anything is made."""
    ran = make(*more, "--json", country=country)

    assert (ran.code, ran.json["error"]["where"]) == (1, where)
    assert not (tmp_path / "ee").exists()
    assert not (tmp_path / "secret").exists()


def test_a_passphrase_is_asked_for_only_where_somebody_is(trm, tmp_path, monkeypatch):
    """Without a terminal and without a file there is no passphrase, and no home."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    ran = trm("init", "EE", "--home", tmp_path / "ee", *OFFICE, "--json")

    assert (ran.code, ran.json["error"]["where"]) == (1, "--passphrase-file")
    assert not (tmp_path / "ee").exists()


def test_a_message_broker_can_be_named(make, tmp_path):
    """With --amqp-url the node uses RabbitMQ and has no spool."""
    ran = make(*OFFICE, "--amqp-url", "amqp://EE@127.0.0.1/trm")

    assert ran.code == 0
    assert Settings.load(tmp_path / "ee").transport == "rabbitmq"
    assert not (tmp_path / "ee" / "spool").exists()
