# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust keys` and `revoke-key`: what officers need where a node is out of reach."""

from dataclasses import replace

import pytest

from broker.core.ids import CountryCode
from broker.home import MEMBER_FILE, read_own_member, write_own_member
from broker.system import SystemClock


def test_every_key_of_a_country_is_shown_with_its_id(trm, federation, home):
    """From the folder of the list alone, no vault is opened."""
    member = read_own_member(home, CountryCode("EE"))
    ran = trm("trust", "keys", federation.office.folder, "EE", "--json")

    assert ran.json["country"] == "EE"
    assert {item["id"]: (item["use"], item["whose"]) for item in ran.json["keys"]} == {
        key.kid: (key.use.value, "node") for key in member.keys
    }
    assert all(str(key.kid) in trm("trust", "keys", federation.office.folder, "EE").out for key in member.keys)


def test_a_country_without_a_document_is_told(trm, federation):
    """Nothing of it can be revoked."""
    ran = trm("trust", "keys", federation.office.folder, "PT", "--json")

    assert (ran.code, ran.json["error"]["code"], ran.json["error"]["where"]) == (3, "ceremony-refused", "PT")


@pytest.mark.parametrize("begins", ["-", "--", "-h"])
def test_a_key_whose_id_begins_with_a_dash_is_no_option(trm, federation, begins):
    """One id in 64 does; its key can be revoked as any other."""
    kid = begins.ljust(43, "A")
    ran = trm("trust", "revoke-key", federation.office.folder, "EE", kid, "--reason", "key-compromise", "--json")

    assert (ran.code, ran.json["error"]["code"], ran.json["error"]["where"]) == (3, "ceremony-refused", kid)


@pytest.mark.parametrize("published", [True, False])
def test_a_file_from_before_takes_no_revocation_back(trm, federation, home, published):
    """Neither of the published list nor of what waits for signatures; the file's other news are staged, and it is told."""
    folder = federation.office.folder
    member = read_own_member(home, CountryCode("EE"))
    stolen = member.keys[0].kid
    assert trm("trust", "revoke-key", folder, "EE", stolen).code == 0
    if published:
        federation.office.publish(now=SystemClock().now())
    write_own_member(home, replace(member, authorities=member.authorities[:1]))
    ran = trm("trust", "update-member", folder, "EE", "--member", home / MEMBER_FILE, "--json")

    assert ran.code == 0
    assert "The key stays revoked" in ran.err
    (waiting,) = ran.json["waiting"]
    assert waiting["role"] == "EE"
    keys = trm("trust", "keys", folder, "EE", "--json").json["keys"]
    assert {item["id"] for item in keys if item["revoked_at"] is not None} == {stolen}
    again = trm("trust", "update-member", folder, "EE", "--member", home / MEMBER_FILE, "--json")
    assert again.json["waiting"] == ran.json["waiting"]
