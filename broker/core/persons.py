# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who a message speaks of, as far as a search needs it: the words of their names, and when they were born.

- A word is compared without case, accents and marks: Jānis is Janis, ÕUN is oun, Zoë is zoe, O'Brien is OBrien. The order
  of words, and which part of a name they stand in, does not count. Another script is another word.
- A birth is as much of a date as is known: 2014, 2014-05 or 2014-05-03. One that says less contradicts none that says
  more, and an unknown one contradicts nothing.
- A search asks for at least one whole word, or a whole date: nobody looks through everyone who begins with a letter, or
  who was born in a year.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from broker.core.errors import BadRequest

__all__ = ["MAX_NAME", "MAX_WORDS", "Person", "PersonQuery", "name_words", "terms_of"]

MAX_NAME = 200  # characters of a name that is searched by
MAX_WORDS = 12
_BORN = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", re.ASCII)
_WORDS = re.compile(r"[^\W_]+")
_WHOLE_DATE = 10  # characters
_NAME, _BORN_ON = "name ", "born "  # what a term begins with
# Letters that Unicode does not take apart, as a clerk without them writes them.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ŋ": "n", "ı": "i", "æ": "ae", "œ": "oe"}
)
_INSIDE = re.compile("['`´ʹʼʾʿ‘’‛′·]")  # marks inside one word: they come and go between registers
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def name_words(text: str) -> frozenset[str]:
    """Return the words of a name in the form in which they are compared."""
    joined = _INSIDE.sub("", text)
    if joined.isascii():
        return frozenset(_WORDS.findall(joined.lower()))
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", joined).casefold())
    for sign in set(_BEYOND_ASCII.findall(plain)):
        if unicodedata.combining(sign):
            plain = plain.replace(sign, "")
    if not plain.isascii():
        plain = unicodedata.normalize("NFC", plain.translate(_PLAIN))
    return frozenset(_WORDS.findall(plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person as one message describes them."""

    words: frozenset[str] = field(repr=False)
    births: frozenset[str] = field(default=frozenset(), repr=False)  # an age gives two years


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonQuery:
    """Who is looked for. Built by `of`."""

    words: frozenset[str] = field(repr=False)
    born: str | None = field(repr=False)

    @classmethod
    def of(cls, name: str | None, born: str | None) -> Self:
        """Return what a person asks for.

        Raises:
            BadRequest: it is too little to look for one person, too long, or no date.
        """
        if name is not None and len(name) > MAX_NAME:
            raise BadRequest(f"A name that is searched by has at most {MAX_NAME} characters.", where="/name")
        words = name_words(name or "")
        if len(words) > MAX_WORDS:
            raise BadRequest(f"A name that is searched by has at most {MAX_WORDS} words.", where="/name")
        if born is not None and not _is_date(born):
            raise BadRequest("A birth is a date, a month or a year: 2014-05-03, 2014-05 or 2014.", where="/born")
        if not words and (born is None or len(born) < _WHOLE_DATE):
            raise BadRequest(
                "A search needs at least one whole word of a name, or a whole date of birth.", where="/name"
            )
        return cls(words=words, born=born)

    @property
    def terms(self) -> frozenset[str]:
        """What everything that is looked for has in common."""
        return frozenset([_NAME + word for word in self.words]) or frozenset({_BORN_ON + (self.born or "")})

    def fits(self, person: Person) -> bool:
        """Whether it may be that person."""
        if not self.words:
            return self.born in person.births
        return self.words <= person.words and (self.born is None or _agrees(self.born, person.births))


def terms_of(people: Iterable[Person]) -> frozenset[str]:
    """Return all that the people of a message are found by."""
    found: set[str] = set()
    for person in people:
        found.update([_NAME + word for word in person.words])
        found.update([_BORN_ON + born for born in person.births if len(born) == _WHOLE_DATE])
    return frozenset(found)


def _agrees(born: str, known: frozenset[str]) -> bool:
    return not known or any(born.startswith(one) or one.startswith(born) for one in known)


def _is_date(text: str) -> bool:
    if _BORN.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat((text + "-01-01")[:_WHOLE_DATE])
    except ValueError:
        return False
    return True
