# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Running vectors from the command line."""

import json
from pathlib import Path

import pytest

from broker.cli import vectors as command

STORED = Path(command.__file__).resolve().parents[2] / "tests" / "vectors" / "envelope"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three good vectors and three bad ones."""
    folder = tmp_path / "envelope"
    folder.mkdir()
    files = {path: json.loads(path.read_bytes())["expect"] for path in sorted(STORED.glob("*.json"))[:120]}
    good = [path for path, expect in files.items() if expect == "ok"][:3]
    bad = [path for path, expect in files.items() if expect != "ok"][:3]
    for path in (*good, *bad):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_vectors_that_hold_are_counted(trm, few):
    """The answer counts all, the good ones, and none that failed."""
    ran = trm("vectors", few, "--json")

    assert ran.code == 0
    assert ran.json == {"vectors": 6, "good": 3, "fresh_differs": None, "failed": []}
    assert "6 vectors (3 good): none came out otherwise." in trm("vectors", few).out


def test_a_vector_that_comes_out_otherwise_fails(trm, few):
    """A wrong expectation is named with what came out, exit code 1."""
    file = min(path for path in few.iterdir() if json.loads(path.read_bytes())["expect"] != "ok")
    data = json.loads(file.read_bytes())
    file.write_text(json.dumps({**data, "expect": "padding", "layer": "padding"}))
    ran = trm("vectors", few, "--json")

    assert ran.code == 1
    assert [item["name"] for item in ran.json["failed"]] == [data["name"]]
    assert ran.json["failed"][0]["got"] == data["expect"]
    assert data["name"] in trm("vectors", few).out


def test_no_vectors_are_no_success(trm, tmp_path):
    """An empty folder is refused: nothing was proven."""
    ran = trm("vectors", tmp_path, "--json")

    assert (ran.code, ran.json["error"]["code"]) == (1, "bad-request")


def test_an_installed_program_without_vectors_says_so(trm, tmp_path, monkeypatch):
    """The vectors are in the source, not in the program: a folder of them is asked for, and no place of it is guessed."""
    monkeypatch.setattr(command, "_STORED", tmp_path / "nowhere")
    ran = trm("vectors", "--json")

    assert (ran.code, ran.json["error"]["where"]) == (1, "folder")
    assert "name a folder" in ran.json["error"]["detail"]


def test_a_file_that_is_no_vector_is_refused_by_name(trm, few):
    """A damaged file ends the run with its name."""
    (few / "aaa.json").write_text("{}")
    ran = trm("vectors", few)

    assert ran.code == 1
    assert "aaa.json" in ran.err


def test_a_fresh_set_is_held_against_the_stored_one(trm, few):
    """The generator beside the folder makes the fresh set; a set with other names differs in exactly these."""
    (few.parent / "generate.py").write_text(
        "import shutil, sys\n"
        f"for name in {[path.name for path in sorted(few.iterdir())][1:]!r}:\n"
        f"    shutil.copy({str(few)!r} + '/' + name, sys.argv[1])\n"
    )
    missing = json.loads(min(few.iterdir()).read_bytes())["name"]
    ran = trm("vectors", few, "--fresh", "--json")

    assert (ran.code, ran.json["failed"]) == (1, [])
    assert ran.json["fresh_differs"] == [missing]


def test_a_fresh_set_needs_a_generator(trm, few):
    """Without a generator, or with one that fails, a fresh set is not claimed."""
    missing = trm("vectors", few, "--fresh", "--json")
    (few.parent / "generate.py").write_text("raise SystemExit(5)")
    failing = trm("vectors", few, "--fresh", "--json")

    assert missing.json["error"]["where"].endswith("generate.py")
    assert "exit code 5" in failing.json["error"]["detail"]
