# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps the daily check short."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

import pytest

from broker.catalogue import Catalogue


@pytest.fixture(scope="session", autouse=True)
def _each_catalogue_is_read_once() -> Iterator[None]:
    """Read the same files once per worker: a catalogue never changes, and reading the shipped one takes long."""
    reading = Catalogue.__dict__["from_files"]

    @lru_cache(maxsize=4)
    def read(files: frozenset[tuple[str, bytes]], earlier: frozenset[tuple[str, bytes]]) -> Catalogue:
        made: Catalogue = reading.__func__(Catalogue, dict(files), dict(earlier))
        return made

    def from_files(
        cls: type[Catalogue], files: Mapping[str, bytes], earlier: Mapping[str, bytes] = MappingProxyType({})
    ) -> Catalogue:
        return read(frozenset(files.items()), frozenset(earlier.items()))

    Catalogue.from_files = classmethod(from_files)  # type: ignore[assignment, method-assign]
    yield
    Catalogue.from_files = reading
