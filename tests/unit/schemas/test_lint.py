# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Every file of ``schemas/`` stands inside the dialect, says what it is and where it comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs

from broker.catalogue.dialect import lint
from broker.core import canonical
from broker.core.deadlines import DeadlineKind, Phase
from broker.core.procedures import ALARM_CLOSED
from broker.schema_files import load_catalogue

SCHEMAS = Path(__file__).parents[3] / "schemas"
FILES = {path.relative_to(SCHEMAS).as_posix(): path.read_bytes() for path in sorted(SCHEMAS.rglob("*.json"))}
DOCUMENTS = {
    path: json.loads(raw)
    for path, raw in FILES.items()
    if path.startswith(("messages/", "parts/", "codes/", "submission/"))
}
SPOKEN = {  # by the API and the trust list's member documents, in no message
    "competence": ["SEND", "RECEIVE", "DECIDE"],
    "deadline-kind": [*DeadlineKind],
    "deadline-phase-2": [*Phase],
}
KEPT = {  # named by nothing; a published catalogue loses no list (LANGUAGE.md)
    "deadline-phase", "message-status", "parent-position", "placement-decision", "tracing-status",
}  # fmt: skip


def test_each_schema_is_inside_the_dialect():
    """The lint finds nothing, and the metaschema agrees that it is a schema."""
    assert {path: found for path, data in DOCUMENTS.items() if (found := lint(data))} == {}
    assert [path for path, data in DOCUMENTS.items() if not jsonschema_rs.meta.is_valid(data)] == []


def test_each_part_is_used():
    """No shared part stands unused; code lists also serve adapters, profiles and views."""
    used = {target.decode() for raw in FILES.values() for target in re.findall(rb'"/([^"]+)"', raw)}
    shared = {path for path in DOCUMENTS if path.startswith("parts/") and "/acts/" not in path}
    acts = {path.split("/")[2] for path in DOCUMENTS if path.startswith("parts/acts/")}
    tables = [json.loads(raw) for path, raw in FILES.items() if path.startswith("procedures/")]

    assert shared - used == set()
    assert acts - {name for table in tables for name in table["acts"]} == {ALARM_CLOSED}


def test_each_code_list_is_named_by_a_schema_or_spoken_by_the_program():
    """No further list comes that nothing names; the program's own codes are exactly those of its lists."""
    named = {target.decode() for raw in FILES.values() for target in re.findall(rb'"/codes/([^"/]+)\.json"', raw)}
    listed = {path: [*data["x-trm-codes"]] for path, data in DOCUMENTS.items() if path.startswith("codes/")}
    unnamed = {path.removeprefix("codes/").removesuffix(".json") for path in listed} - named

    assert unnamed == {*SPOKEN, *KEPT}
    assert {name: listed[f"codes/{name}.json"] for name in SPOKEN} == SPOKEN


def test_each_message_part_and_act_cites_where_it_comes_from():
    """Each message, shared act and procedure names its source, each act, basis and deadline of a procedure too."""
    cited = [path for path in DOCUMENTS if path.startswith(("messages/", "parts/acts/", "submission/"))]
    tables = [json.loads(raw) for path, raw in FILES.items() if path.startswith("procedures/")]

    assert [path for path in cited if not DOCUMENTS[path].get("x-trm-source")] == []
    assert [table["procedure"] for table in tables if not (table["source"] and table["description"])] == []
    for table in tables:
        for item in (*table["acts"].values(), *table["bases"].values(), *table["deadlines"]):
            assert item.get("source"), (table["procedure"], item)


def test_the_language_is_as_large_as_the_casework():
    """No family goes missing unseen: procedures, message types and code lists are at least as many as promised."""
    catalogue = load_catalogue(SCHEMAS)

    assert len(catalogue.tables()) >= 20
    assert len(tuple(catalogue.types())) >= 75
    assert len({path for path in DOCUMENTS if path.startswith("messages/")}) >= 75
    assert len(catalogue.code_lists()) >= 30


def test_acts_of_a_procedure_share_their_bases(catalogue):
    """An answer may rest on whatever its request may rest on; CASEWORK C-02 names those of tracing."""
    for table in catalogue.tables():
        openings = {name for name, act in table.acts.items() if act.opens}
        asked = {
            code
            for kind in catalogue.types()
            if kind.procedure == table.procedure and kind.act in openings
            for code in catalogue.bases(kind)
        }
        assert asked == set(table.bases), table.procedure
    assert tuple(catalogue.table("family-tracing").bases) == (
        "B2B_80_1_B", "H96_34", "H96_32", "IR2055_11", "ATD_11_4", "CETS197_10_4", "CRC_22_2", "NATIONAL_LAW"
    )  # fmt: skip


def test_the_bases_that_need_a_citation_are_those_that_the_list_marks():
    """The condition of the legal-basis part names exactly the codes marked in the list."""
    marked = [code for code, item in DOCUMENTS["codes/legal-basis.json"]["x-trm-codes"].items() if item.get("citation")]

    assert DOCUMENTS["parts/legal-basis.json"]["if"]["properties"]["code"]["enum"] == marked


def test_each_file_has_a_canonical_form():
    """Whatever stands in the folder can be written canonically: no fraction, no foreign member name."""
    for path, raw in FILES.items():
        assert canonical.parse(canonical.dump(json.loads(raw))), path


def test_the_manual_names_each_shared_act():
    """The table in LANGUAGE.md holds every shared act and no other."""
    readme = (SCHEMAS / "LANGUAGE.md").read_text(encoding="utf-8")
    section = readme.partition("## Message types")[2].partition("\n## ")[0]
    listed = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}

    assert listed == {path.split("/")[2] for path in DOCUMENTS if path.startswith("parts/acts/")}
