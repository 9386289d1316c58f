# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How the doctor's findings are told."""


def test_a_healthy_home_is_exit_code_0(trm, home):
    """Every check is listed by name, for people and for scripts."""
    people, scripts = trm("doctor", "--home", home), trm("doctor", "--home", home, "--json")

    names = [check["name"] for check in scripts.json["checks"]]
    assert (people.code, scripts.code, scripts.json["healthy"]) == (0, 0, True)
    assert names == [line.split()[1] for line in people.out.splitlines() if not line.startswith(" ")]
    assert {"settings", "keys", "clock", "store", "broker", "peers"} <= set(names)


def test_a_failure_is_exit_code_1_with_what_to_do(trm, home):
    """A wrong setting fails the first check, the rest is not looked at, and the advice follows."""
    (home / "settings.toml").write_text("country = ")
    ran = trm("doctor", "--home", home)

    lines = ran.out.splitlines()
    assert ran.code == 1
    assert lines[0].startswith("FAILED  settings")
    assert "→" in lines[1]
    assert all(line.startswith("skipped") for line in lines[2:])
