# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite is put together of several classes."""

from __future__ import annotations

from collections import Counter

from broker.testing.store_contract import StoreContract


def test_no_test_of_the_suite_hides_another() -> None:
    """Of two that have one name only the first class's runs, and nobody would see that the other does not."""
    names = Counter(name for part in StoreContract.__mro__ for name in vars(part) if name.startswith("test_"))
    assert [name for name, times in names.items() if times > 1] == []
