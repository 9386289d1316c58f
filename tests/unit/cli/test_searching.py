# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm case search`."""

from __future__ import annotations

import io


def test_a_sent_request_is_found(trm, home, request_file, office, monkeypatch):
    """By name and birth, or a name on standard input, for people and machines; it is on record, not for whom."""
    sent = trm("submit", request_file, "--home", home, "--json").json
    asked = ("case", "search", "--home", home, "--authority", office)
    ran = trm(*asked, "--name", "naidis maarika", "--born", "2014", "--json")
    (item,) = ran.json["items"]
    assert (ran.code, item["id"], item["case_ref"], ran.json["more"]) == (
        0, sent["procedure"], sent["case_ref"], False,
    )  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO("Maarika\n"))
    assert "family-tracing" in trm(*asked, "--name", "-").out
    assert "Nothing was found" in trm(*asked, "--name", "Maarik").out

    trail = trm("audit", "list", "--home", home, "--reason", "lawfulness", "--action", "searched", "--json")
    assert len(trail.json["items"]) == 3
    assert "aarik" not in trail.out


def test_what_is_no_search_is_refused(trm, home, office):
    """A year alone looks for everybody of an age; an unknown reason is no reason."""
    asked = ("case", "search", "--home", home, "--authority", office, "--json")
    too_wide = trm(*asked, "--born", "2014")
    assert (too_wide.code, too_wide.json["error"]["code"]) == (1, "bad-request")
    wrong = trm(*asked, "--name", "Maarika", "--reason", "curiosity")
    assert (wrong.code, wrong.json["error"]["where"]) == (1, "--reason")


def test_the_other_procedures_of_a_child_are_found_by_one_of_them(trm, home, request_file, office):
    """Nobody types a name; together with one it is refused."""
    first, second = [
        trm("submit", request_file, "--home", home, "--idempotency-key", key, "--json").json for key in ("a", "b")
    ]
    asked = ("case", "search", "--home", home, "--authority", office)
    ran = trm(*asked, "--procedure", first["procedure"], "--json")
    assert (ran.code, [item["id"] for item in ran.json["items"]]) == (0, [second["procedure"]])
    assert trm(*asked, "--procedure", first["procedure"], "--name", "Maarika").code == 1
    assert trm(*asked, "--procedure", "nothing").code == 1
