# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the signed catalogue bundle."""

from __future__ import annotations

import json

import pytest

from broker.core.errors import TrustListInvalid
from broker.schema_files import load_catalogue, read_schema_files
from broker.trust.catalogue_documents import load_bundle, read_bundle_files, write_bundle


def test_the_bundle_is_the_catalogue_of_its_files() -> None:
    """What a node loads from it knows the same types and versions; examples are left out."""
    files = read_schema_files()
    raw = write_bundle(files)
    assert load_bundle(raw).types() == load_catalogue().types()
    kept = read_bundle_files(raw)
    assert kept == {path: content for path, content in files.items() if not path.startswith("examples/")}
    assert len(kept) < len(files)


def test_a_bundle_that_does_not_load_is_not_written() -> None:
    """A missing part is found before anybody signs."""
    files = {path: raw for path, raw in read_schema_files().items() if path != "parts/name.json"}
    with pytest.raises(TrustListInvalid) as caught:
        write_bundle(files)
    assert caught.value.rule == "catalogue"


@pytest.mark.parametrize(
    "path",
    ["../parts/name.json", "/parts/name.json", "parts/../../name.json", "parts//name.json", "parts\\name.json",
     "name.json", "parts/name.txt", "parts/.name.json", "parts/name.json\x00.json", "C:/name.json"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    """Whoever unpacks a bundle must not write outside of its folder."""
    raw = json.dumps({"format": "trm-catalogue/1", "files": {path: "{}"}}).encode()
    with pytest.raises(TrustListInvalid) as caught:
        read_bundle_files(raw)
    assert caught.value.rule == "catalogue"


@pytest.mark.parametrize("data", [{}, [], {"format": "trm-catalogue/1", "files": []}, {"format": "x", "files": {}}])
def test_a_document_of_another_form_is_refused(data: object) -> None:
    """It is an object of format and files."""
    with pytest.raises(TrustListInvalid):
        read_bundle_files(json.dumps(data).encode())
