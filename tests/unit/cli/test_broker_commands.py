# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The definitions file from the command line."""

import json
import stat
from datetime import UTC, datetime

from broker.core.ids import CountryCode
from broker.settings import Settings
from broker.trust.words import fingerprint_words


def test_the_file_is_for_the_countries_named(trm):
    """It has a user, queues and permissions of each country, and no password."""
    ran = trm("broker", "definitions", "SE", "EE")

    assert ran.code == 0
    assert [user["name"] for user in ran.json["users"]] == ["EE", "SE"]
    assert {user["password_hash"] for user in ran.json["users"]} == {""}
    assert {queue["name"] for queue in ran.json["queues"]} == {
        f"trm.{kind}.{country}" for kind in ("in", "chunk", "dead") for country in ("EE", "SE")
    }


def test_the_file_is_for_the_members_of_a_trust_list(trm, home, tmp_path):
    """Without countries the home's trust list names them; --out writes a file that RabbitMQ's account can read."""
    out = tmp_path / "definitions.json"
    ran = trm("broker", "definitions", "--home", home, "--out", out, "--json")

    assert ran.json == {"file": str(out), "members": ["EE", "FI"], "suspended": []}
    assert [user["name"] for user in json.loads(out.read_text())["users"]] == ["EE", "FI"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    assert "import_definitions" in trm("broker", "definitions", "--home", home, "--out", out).out


def test_the_brokers_operator_needs_no_node(trm, home, tmp_path):
    """Three lines of settings and the federation's root, as `trm trust join` puts it there, name the members."""
    theirs = tmp_path / "broker-home"
    theirs.mkdir(mode=0o700)
    lines = ("country = 'EE'", "transport = 'rabbitmq'", "amqp_url = 'amqps://broker.invalid/trm'")
    (theirs / "settings.toml").write_text("\n".join(lines))
    node = Settings.load(home)
    words = fingerprint_words(node.trust_root_file.read_bytes())
    joined = trm(
        "trust", "join", "--home", theirs, "--root", node.trust_root_file, "--source", node.trust.source,
        "--words", words,
    )  # fmt: skip
    assert joined.code == 0, joined.err

    ran = trm("broker", "definitions", "--home", theirs)
    assert [user["name"] for user in ran.json["users"]] == ["EE", "FI"]
    assert not (theirs / "vault.json").exists()


def test_a_suspended_country_keeps_its_queues_and_has_no_user(trm, unstarted, federation):
    """Nothing that waits for a suspended member is lost, and it cannot log in."""
    now = datetime.now(UTC)
    federation.office.repository.suspend(CountryCode("FI"), "A drill.", now=now)
    federation.office.publish(now=now)
    ran = trm("broker", "definitions", "--home", unstarted)

    assert [user["name"] for user in ran.json["users"]] == ["EE"]
    assert "trm.in.FI" in {queue["name"] for queue in ran.json["queues"]}


def test_nobody_is_guessed(trm):
    """No countries and no home, or what is no country, is refused."""
    nobody, not_one = trm("broker", "definitions", "--json"), trm("broker", "definitions", "Finland", "--json")

    assert (nobody.code, nobody.json["error"]["where"]) == (1, "--home")
    assert (not_one.code, not_one.json["error"]["where"]) == (1, "COUNTRY")


def test_a_folder_that_is_not_there_is_a_sentence(trm, tmp_path):
    """A file that cannot be written is told with its place."""
    ran = trm("broker", "definitions", "EE", "--out", tmp_path / "missing" / "definitions.json")

    assert ran.code == 3
    assert "no such file or directory" in ran.err
    assert f"{tmp_path}/missing/definitions.json" in ran.err.replace("\n", "")
