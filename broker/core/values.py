# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Values: what a class is whose instances are nothing but their fields, given by name and never changed.

A `frozen` class is a frozen, slotted dataclass: `field`, `fields` and `replace` work with it. But `dataclass` compiles six
methods from text for each class, an eighth of a node's whole start; here only the constructor is, and it sets the slots
with less ado.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

__all__ = ["frozen"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class a value; a method that it has of its own goes before the one that it would be given."""
    made: Any = dataclass(slots=True, kw_only=True, init=False, repr=False, eq=False)(cls)
    for name, method in {**_SHARED, **_comparing(made), "__init__": _constructor(made)}.items():
        if name not in cls.__dict__:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _constructor(made: Any) -> Callable[..., None]:
    scope: dict[str, Any] = {"_missing": MISSING}
    parameters, lines = [], []
    for item in fields(made):
        name, given = item.name, item.name
        scope[f"_set_{name}"] = getattr(made, name).__set__  # the slot itself: an instance refuses to be set
        if item.default is not MISSING:
            scope[f"_of_{name}"] = item.default
            parameters.append(f"{name}=_of_{name}")
        elif item.default_factory is not MISSING:
            scope[f"_of_{name}"] = item.default_factory
            parameters.append(f"{name}=_missing")
            given = f"_of_{name}() if {name} is _missing else {name}"
        else:
            parameters.append(name)
        lines.append(f"_set_{name}(self, {given})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    head = ", ".join(["self", *(["*", *parameters] if parameters else [])])
    exec(f"def __init__({head}):\n " + "\n ".join(lines or ["pass"]), scope)  # noqa: S102  names of our own classes
    constructor: Callable[..., None] = scope["__init__"]
    constructor.__qualname__ = f"{made.__qualname__}.__init__"
    constructor.__module__ = made.__module__
    return constructor


def _comparing(made: Any) -> Mapping[str, Callable[..., Any]]:
    names = [item.name for item in fields(made) if item.compare]
    content: Callable[[object], object] = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return content(self) == content(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(content(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _refuse(_: object, name: str, *__: object) -> None:
    raise FrozenInstanceError(f"the field {name!r} of a value is never changed")


def _text(self: Any) -> str:
    shown = (f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _rebuilt(self: Any, _: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
    names = [item.name for item in fields(self)]
    return _build, (self.__class__, {name: getattr(self, name) for name in names})


def _build(cls: Any, given: Mapping[str, Any]) -> Any:
    return cls(**given)


_SHARED: Mapping[str, Callable[..., Any]] = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__repr__": _text,
    "__reduce_ex__": _rebuilt,  # copies and pickles are built like any other
}
