# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Frozen classes: what a dataclass promises, they keep."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from broker.core.values import frozen


@frozen
class Office:
    """One with each kind of field."""

    country: str
    missing: Mapping[str, int] = field(default_factory=dict)
    secret: str = field(default="hidden", repr=False)
    noted: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsDataclass:
    """The same, made by the standard library."""

    country: str
    missing: Mapping[str, int] = field(default_factory=dict)
    secret: str = field(default="hidden", repr=False)
    noted: int = field(default=0, compare=False)


@frozen
class Branch(Office):
    """One with more fields, which looks at what it was given."""

    town: str | None = None

    def __post_init__(self) -> None:
        """Refuse a town without a name."""
        if self.town == "":
            raise ValueError("a town has a name")


@frozen
class Named:
    """One with words of its own."""

    name: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "Named(…)"


@frozen
class Nothing:
    """One without a field."""


GIVEN: list[dict[str, Any]] = [
    {"country": "EE"},
    {"country": "FI"},
    {"country": "EE", "missing": {"a": 1}},
    {"country": "EE", "secret": "other"},
    {"country": "EE", "noted": 7},
]


@pytest.mark.parametrize("one", GIVEN)
@pytest.mark.parametrize("other", GIVEN)
def test_two_are_equal_where_two_dataclasses_are(one, other):
    """Every compared field counts, one that is not compared does not."""
    assert (Office(**one) == Office(**other)) is (AsDataclass(**one) == AsDataclass(**other))


@pytest.mark.parametrize("given", GIVEN)
def test_it_reads_like_the_dataclass(given):
    """The text form shows every field but the hidden ones."""
    assert repr(Office(**given)) == repr(AsDataclass(**given)).replace("AsDataclass", "Office")


def test_equal_ones_have_one_hash_and_a_field_that_has_none_is_told():
    """It can be a key where its fields can."""
    assert len({Named(name="a"), Named(name="a"), Named(name="b")}) == 2
    assert len({Nothing(), Nothing()}) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(Office(country="EE"))


def test_it_is_never_changed():
    """Neither a field nor a new name can be set or taken away, and it stays as it was."""
    office = Office(country="EE")
    for act in (
        lambda: setattr(office, "country", "FI"),
        lambda: setattr(office, "other", 1),
        lambda: delattr(office, "country"),
    ):
        with pytest.raises(FrozenInstanceError):
            act()

    assert office == Office(country="EE")
    assert not hasattr(office, "__dict__")


@pytest.mark.parametrize("wrong", [{}, {"country": "EE", "land": "FI"}])
def test_exactly_its_fields_are_given_and_by_name(wrong):
    """A missing field, an unknown one and one without its name are a mistake of the caller."""
    with pytest.raises(TypeError):
        Office(**wrong)
    with pytest.raises(TypeError):
        Office("EE")  # type: ignore[misc]


def test_what_is_made_for_a_field_is_made_for_each():
    """Two do not share a default that was made."""
    assert Office(country="EE").missing is not Office(country="EE").missing


def test_a_changed_copy_is_another_one():
    """`replace` leaves the first as it was, and gives a new one that was checked like any other."""
    branch = Branch(country="EE", town="Tartu")
    moved = replace(branch, town="Narva")

    assert (branch.town, moved.town, moved.country) == ("Tartu", "Narva", "EE")
    assert isinstance(moved, Office)
    assert [item.name for item in fields(Branch)] == ["country", "missing", "secret", "noted", "town"]
    with pytest.raises(ValueError, match="name"):
        replace(branch, town="")


def test_one_of_another_class_is_another():
    """The same fields in a class below it do not make it equal."""
    assert Office(country="EE") != Branch(country="EE")
    assert Office(country="EE") != AsDataclass(country="EE")


def test_what_a_class_says_itself_stays():
    """A method of its own is not replaced."""
    assert repr(Named(name="Test-Maarika")) == "Named(…)"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_copies_are_equal(again):
    """It can be copied, and carried between processes."""
    branch = Branch(country="EE", missing={"a": 1}, town="Tartu")

    assert again(branch) == branch
    assert type(again(branch)) is Branch
