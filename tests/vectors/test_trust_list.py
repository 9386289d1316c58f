# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A stored trust list is read by the product, and by a reader that has neither the product's code nor TUF's."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from broker.trust.client import TrustClient
from broker.trust.fetching import FolderSource
from tests.vectors import trust_list_cases, trust_list_reader

HERE = Path(__file__).parent
STORED = HERE / "trust_lists" / "published.json"


def _product(vector: dict[str, Any], folder: Path) -> dict[str, Any]:
    for path, text in vector["files"].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(trust_list_reader.unb64(text))
    fetched = TrustClient(FolderSource(folder), trust_list_reader.unb64(vector["root"])).fetch()
    assert fetched.troubles == ()
    members = {
        country: {"kids": [key.kid for key in member.keys], "status": member.status}
        for country, member in fetched.trust.members.items()
    }
    return {"members": members, "version": fetched.trust.version}


@pytest.mark.parametrize("made", ["stored", "fresh"])
def test_product_and_second_reader_believe_the_same(made: str, tmp_path: Path) -> None:
    """Version, status and key ids are those that the file states, in the stored list and in one of today."""
    if made == "fresh":
        trust_list_cases.main(tmp_path)
    vector = json.loads((STORED if made == "stored" else tmp_path / "published.json").read_bytes())
    stated = {name: vector[name] for name in ("members", "version")}

    assert trust_list_reader.read(vector) == stated
    assert _product(vector, tmp_path / "list") == stated


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.FI.json"])
def test_the_second_reader_refuses_a_list_that_another_signed(name: str) -> None:
    """Each list's signatures are looked at: Estonia's officers sign for nobody else."""
    vector = json.loads(STORED.read_bytes())
    files = {path: trust_list_reader.unb64(text) for path, text in vector["files"].items()}
    wrong, estonian = (json.loads(files[f"metadata/{one}"]) for one in (name, "1.EE.json"))
    role = {"keyids": [item["keyid"] for item in wrong["signatures"]], "threshold": 1}
    keys = json.loads(trust_list_reader.unb64(vector["root"]))["signed"]["keys"]
    keys |= json.loads(files["metadata/1.targets.json"])["signed"]["delegations"]["keys"]
    trust_list_reader.check(wrong, role, keys)

    with pytest.raises(ValueError, match="not as the specification says"):
        trust_list_reader.check({**estonian, "signed": wrong["signed"]}, role, keys)
    with pytest.raises(ValueError, match="not as the specification says"):
        trust_list_reader.check({**wrong, "signed": estonian["signed"]}, role, keys)


def test_the_second_reader_shares_nothing() -> None:
    """It imports the standard library and the cryptographic library."""
    nodes = ast.walk(ast.parse((HERE / "trust_list_reader.py").read_text(encoding="utf-8")))
    modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}

    assert {module.partition(".")[0] for module in modules} == {"__future__", "cryptography", "typing"}
