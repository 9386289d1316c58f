# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The schemas are found in a checkout, in a folder given, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from broker.core.errors import CatalogueInvalid
from broker.schema_files import list_profiles, load_catalogue, read_schema_file, read_schema_files

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_the_folder_given_is_read(tmp_path):
    """A copy of the folder gives the same types and the same table digest."""
    shutil.copytree(SCHEMAS, tmp_path / "schemas")

    copied, own = load_catalogue(tmp_path / "schemas"), load_catalogue()

    assert copied.types() == own.types()
    assert copied.table("family-tracing").digest == own.table("family-tracing").digest


def test_an_empty_or_missing_folder_is_no_catalogue(tmp_path):
    """Without files, or without a folder, there is a clear error."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CatalogueInvalid):
            load_catalogue(folder)


def test_one_file_is_read_by_its_path():
    """An example is read; a missing file is an error that names it."""
    assert read_schema_file("examples/demo/request.json").startswith(b"{")
    with pytest.raises(CatalogueInvalid) as refused:
        read_schema_file("examples/demo/missing.json")
    assert refused.value.where == "examples/demo/missing.json"


def test_loading_does_not_import_the_explaining_library():
    """`jsonschema` costs memory that an idle node does not need: loading and accepting do without it."""
    program = (
        "import json, sys\n"
        "from broker.schema_files import list_profiles, load_catalogue, read_schema_file, read_schema_files\n"
        "data = json.loads(read_schema_file('examples/demo/request.json'))\n"
        "assert load_catalogue().explain_submission(data) == ()\n"
        "print('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "False\n"


def test_country_profiles_are_listed_apart(tmp_path):
    """They are read one by one when asked for, and are no part of what a node loads; a folder without them says so."""
    assert list_profiles()["EE"] == "profiles/EE.json"
    assert not [path for path in read_schema_files() if path.startswith("profiles/")]
    with pytest.raises(CatalogueInvalid):
        list_profiles(tmp_path)
