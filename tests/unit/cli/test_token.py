# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens of the node's own issuer."""

import asyncio

from broker.office import local_issuer
from broker.settings import Settings


def test_a_token_is_what_was_asked_for(trm, home, office):
    """The printed text alone is a token that the node's issuer verifies, of that subject, role and office."""
    ran = trm("token", "--home", home, "--role", "auditor", "--authority", office, "--subject", "test")

    principal = asyncio.run(local_issuer(Settings.load(home)).verify(ran.out.strip()))
    assert ran.code == 0
    assert (principal.subject, principal.role, principal.authority) == ("test", "auditor", office)


def test_json_tells_for_whom_it_is(trm, home, office):
    """The document holds token, role, office and how long it is valid."""
    ran = trm("token", "--home", home, "--authority", office, "--json")

    assert ran.json.keys() == {"token", "role", "authority", "minutes"}


def test_a_token_may_speak_for_the_whole_installation(trm, home):
    """An admin's, auditor's or, for metrics alone, a system's, of the authority `node`; an officer's never does."""
    for role, code in (("admin", 0), ("auditor", 0), ("system", 0), ("officer", 1)):
        ran = trm("token", "--home", home, "--role", role, "--authority", "node", "--json")
        assert ran.code == code, role
        assert ran.json.get("authority") == (None if code else "node")


def test_another_systems_token_lives_a_quarter(trm, home, office):
    """What a person puts into another system's settings need not be renewed each day; no longer than 90 days, though."""
    asked = ("token", "--home", home, "--role", "system", "--authority", office, "--minutes")
    assert trm(*asked, 90 * 1440, "--json").json["minutes"] == 90 * 1440
    assert trm(*asked, 90 * 1440 + 1).code == 2


def test_what_would_open_nothing_is_refused(trm, home, office):
    """No such role, no office of ours, several offices, a time too long for the role: no token."""
    for more, where in (
        (("--role", "king", "--authority", office), "--role"),
        (("--authority", "nobody"), "--authority"),
        ((), "--authority"),
        (("--authority", office, "--minutes", "1440"), "--minutes"),
    ):
        ran = trm("token", "--home", home, *more, "--json")
        assert (ran.code, ran.json["error"]["where"]) == (1, where)
        assert "token" not in ran.json


def test_a_missing_issuer_key_is_a_sentence(trm, home, office):
    """Without the issuer's key the command says so, and what makes it."""
    (home / "token-key.pem").unlink()
    ran = trm("token", "--home", home, "--authority", office)

    assert ran.code == 3
    assert "key-missing" in ran.err


def test_another_issuers_tokens_are_not_ours_to_make(trm, home, office):
    """Where the settings name an issuer, this node issues none."""
    with (home / "settings.toml").open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write('token_issuer = "https://issuer.invalid"\ntoken_jwks_url = "https://issuer.invalid/keys"\n' + text)
    ran = trm("token", "--home", home, "--authority", office, "--json")

    assert (ran.code, ran.json["error"]["where"]) == (1, "token_issuer")
