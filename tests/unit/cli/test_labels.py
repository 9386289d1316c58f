# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Translators' tables out and in."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from broker.catalogue.labels import LANGUAGES
from broker.schema_files import load_catalogue

SCHEMAS = Path(__file__).parents[3] / "schemas"
KEY, OTHER = "codes/yes-no/YES", "codes/would-endanger/YES"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The schemas, with translations of its own that have everything but the labels in the English of two."""
    copied = tmp_path / "schemas"
    copied.mkdir()
    for item in SCHEMAS.iterdir():
        if item.name != "labels":
            (copied / item.name).symlink_to(item)
    shutil.copytree(SCHEMAS / "labels", copied / "labels")
    english = load_catalogue().english()
    lacking = {english[KEY], english[OTHER]}
    present = {key: {"en": text, "text": "…"} for key, text in english.items() if text not in lacking}
    for file in (copied / "labels").glob("*.json"):
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "labels": present}), "utf-8")
    return copied


def _table(file: Path, *rows: dict[str, str]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return file


def test_what_is_missing_is_listed_for_each_language(trm, folder):
    """Exactly the labels without a translation are listed, and the exit code says that there is something to do."""
    ran = trm("labels", "check", "--folder", folder, "--json")
    people = trm("labels", "check", "--folder", folder)

    assert ran.code == people.code == 1
    english = load_catalogue(folder).english()
    missing = [key for key, text in english.items() if text in {english[KEY], english[OTHER]}]
    assert [lacks["missing"] for lacks in ran.json["languages"].values()] == [missing] * len(LANGUAGES[1:])
    assert f"{len(missing) * len(LANGUAGES[1:])} things to mend" in people.out


def test_a_table_goes_out_and_comes_back(trm, folder, tmp_path):
    """What export writes import takes; a filled cell is then no longer missing, an empty one changes nothing."""
    file = tmp_path / "out.csv"
    assert trm("labels", "export", file, "--folder", folder).code == 0
    rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    for row in rows:
        row["et"] = "jah" if row["key"] == KEY else ""
    ran = trm("labels", "import", _table(file, *rows), "--folder", folder, "--json")

    assert ran.code == 1
    assert KEY not in ran.json["languages"]["et"]["missing"]
    assert KEY in ran.json["languages"]["fi"]["missing"]
    written = json.loads((folder / "labels" / "et.json").read_text("utf-8"))
    assert written["labels"][KEY] == {"en": "Yes", "text": "jah"}
    assert written["status"] == "unreviewed"


def test_the_same_english_is_translated_once(trm, folder, tmp_path):
    """A label that is missing takes over what the same English is called elsewhere; one that is there stays."""
    rows = [{"key": KEY, "et": "jah", "fi": "kyllä"}, {"key": OTHER, "et": "ohustaks", "fi": ""}]
    trm("labels", "import", _table(tmp_path / "in.csv", *rows), "--folder", folder)

    estonian = json.loads((folder / "labels" / "et.json").read_text("utf-8"))["labels"]
    finnish = json.loads((folder / "labels" / "fi.json").read_text("utf-8"))["labels"]
    assert (estonian[KEY]["text"], estonian[OTHER]["text"]) == ("jah", "ohustaks")
    assert finnish[KEY]["text"] == "kyllä"


def test_a_label_that_nothing_uses_is_dropped(trm, folder, tmp_path):
    """Importing leaves only what is used today."""
    file = folder / "labels" / "et.json"
    data = json.loads(file.read_text("utf-8"))
    gone = {"codes/gone/X": {"en": "Gone", "text": "Läinud"}}
    file.write_text(json.dumps({**data, "labels": {**data["labels"], **gone}}), "utf-8")
    assert trm("labels", "check", "--folder", folder, "--json").json["languages"]["et"]["unused"] == ["codes/gone/X"]

    trm("labels", "import", _table(tmp_path / "in.csv", {"key": KEY, "et": "jah"}), "--folder", folder)

    assert "codes/gone/X" not in json.loads(file.read_text("utf-8"))["labels"]


REFUSED = {
    "a key that nothing has": {"key": "codes/yes-no/MAYBE", "et": "ehk"},
    "a translation of other English": {"key": KEY, "en": "Certainly", "et": "jah"},
    "a column of no language": {"key": KEY, "tlh": "HIja'"},
    "no key": {"en": "Yes", "et": "jah"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_does_not_fit_changes_nothing(trm, folder, tmp_path, case):
    """The whole table is refused and no file is touched."""
    before = {file.name: file.read_bytes() for file in (folder / "labels").iterdir()}

    ran = trm("labels", "import", _table(tmp_path / "in.csv", REFUSED[case]), "--folder", folder)

    assert ran.code == 1
    assert {file.name: file.read_bytes() for file in (folder / "labels").iterdir()} == before


def test_a_language_that_somebody_added_is_checked_and_filled_like_the_others(trm, folder, tmp_path):
    """One more file is one more column of the table, and one more language of the check."""
    file = {"language": "is", "name": "íslenska", "status": "unreviewed", "labels": {}}
    (folder / "labels" / "is.json").write_text(json.dumps(file), "utf-8")
    rows = _table(tmp_path / "is.csv", {"key": KEY, "is": "já"})

    before = trm("labels", "check", "--folder", folder, "--json").json["languages"]["is"]
    after = trm("labels", "import", rows, "--folder", folder, "--json").json["languages"]["is"]

    assert KEY in before["missing"]
    assert KEY not in after["missing"]
    assert json.loads((folder / "labels" / "is.json").read_bytes())["labels"][KEY]["text"] == "já"


def test_a_reader_gets_every_label_in_his_language_or_in_english(trm, folder):
    """What is translated in it, with whether a person reviewed it; what it lacks in English, never a code alone."""
    shown = trm("labels", "show", "codes/yes-no", "--language", "et", "--folder", folder, "--json").json
    english = load_catalogue().english()
    assert shown["language"] == "et"
    assert shown["labels"].keys() == {key for key in english if key.startswith("codes/yes-no")}
    assert shown["labels"][KEY] == {"text": english[KEY], "language": "en", "status": "source"}
    status = json.loads((folder / "labels" / "et.json").read_text("utf-8"))["status"]
    assert shown["labels"]["codes/yes-no/NO"] == {"text": "…", "language": "et", "status": status}
    assert "codes/yes-no/NO" in trm("labels", "show", "codes/yes-no", "-l", "et", "--folder", folder).out


def test_a_key_that_nothing_has_is_told(trm):
    """A place that a person mistyped is no empty list."""
    ran = trm("labels", "show", "code/yes-no", "--json")
    assert (ran.code, ran.json["error"]["code"], ran.json["error"]["where"]) == (1, "not-found", "KEY")
