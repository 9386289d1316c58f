# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Publishing the trust list when one country's part of it is spoiled."""

import pytest

from broker.cli.ceremony import signing


@pytest.fixture
def publish(trm, federation, monkeypatch):
    """Run the command with the federation's publishing key."""
    monkeypatch.setattr(signing, "open_key", lambda *_: federation.office.online)
    return lambda *more: trm("trust", "publish", federation.office.folder, "--key", "publisher.key", *more)


def test_a_spoiled_list_is_left_out_and_said(publish, trm, federation):
    """The others' news are out, and what else waits is shown; exit code 1, what is wrong, and the command that puts it right."""
    folder = federation.office.folder
    (folder / "staged").mkdir(exist_ok=True)
    (folder / "staged" / "FI.json").write_text("{")

    told, ran = publish(), publish("--json")

    assert (told.code, ran.code) == (1, 1)
    assert "FI is left out, what was published of it stays: ceremony-refused: A signed list" in told.out
    assert f"trm trust discard {folder} FI" in told.out.replace("\n", " ")
    assert [(left["role"], left["code"], left["who_must_act"]) for left in ran.json["left_out"]] == [
        ("FI", "ceremony-refused", "federation")
    ]
    assert ran.json["waiting"] == []

    shown = trm("trust", "show", folder, "--json")
    assert (shown.code, shown.json["waiting"]) == (0, [])
    assert "FI cannot be shown or signed" in shown.err

    assert trm("trust", "discard", folder, "FI").code == 0
    assert (publish("--json").code, publish("--json").json["left_out"]) == (0, [])


def test_signatures_of_a_copy_that_is_not_there_are_none_taken_over(trm, federation, tmp_path):
    """A stick that is not mounted is told: who reads of no signatures goes and asks for them twice."""
    ran = trm("trust", "collect", federation.office.folder, tmp_path / "stick", "--json")

    assert (ran.code, ran.json["error"]["code"], ran.json["error"]["where"]) == (
        3,
        "ceremony-refused",
        str(tmp_path / "stick"),
    )
