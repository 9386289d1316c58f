# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which names may stand in a pointer."""

from __future__ import annotations

from broker.api.places import Places
from broker.catalogue import Catalogue


def test_places_know_the_schemas_names_only() -> None:
    """A name that is in no schema of ours is cut out, however plain it looks."""
    places = Places(frozenset({"body", "child", "name"}))

    assert places.known("/body/child/0/name") == "/body/child/0/name"
    assert places.known("/body/maarika/name") == "/body/?/name"
    assert places.known("/") == "/"


def test_catalogues_names_are_known(catalogue: Catalogue) -> None:
    """Members of submissions and of every body are known, positions in lists stay, a person's name is not one."""
    places = Places.of(catalogue)

    assert places.known("/sender/authority") == "/sender/authority"
    assert places.known("/body/persons_sought/3/name/given") == "/body/persons_sought/3/name/given"
    assert places.known("/body/maarika") == "/body/?"
