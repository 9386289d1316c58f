# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""To whom is sent apart, and whose turn it is: a publish that waits for one country's queue holds up no other country."""

from __future__ import annotations

from broker.core.delivery import PUBLISH_SLOW_SECONDS
from broker.core.errors import BrokerError, TransportUnavailable
from broker.core.ids import CountryCode

__all__ = ["SentApart"]


class SentApart:
    """The countries whose queue took long to fail, until something leaves to them; each has its turn.

    Each worker finds that out for itself, and forgets it with its end.
    """

    def __init__(self) -> None:
        self._countries: tuple[CountryCode, ...] = ()

    @property
    def countries(self) -> tuple[CountryCode, ...]:
        """Return them, whose turn is next first."""
        return self._countries

    def had_turn(self, country: CountryCode) -> None:
        """Put one of them behind the others."""
        self._countries = (*self._without(country), country)

    def left(self, country: CountryCode) -> None:
        """Send to a country with all others again: its queue took something."""
        self._countries = self._without(country)

    def failed(self, country: CountryCode, error: BrokerError, seconds: float) -> None:
        """Send to a country apart if its queue took long to fail: so many seconds."""
        if seconds >= PUBLISH_SLOW_SECONDS and not isinstance(error, TransportUnavailable):  # no connection, no queue
            self.had_turn(country)

    def _without(self, country: CountryCode) -> tuple[CountryCode, ...]:
        return tuple(other for other in self._countries if other != country)
