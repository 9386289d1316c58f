# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What `make test` needs beside Python, had before the first test runs; or it is said what to do, instead of by hundreds of tests.

Tests kill and restart the servers that they use, so a server that is named, or one in a container, is not enough for all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from broker.testing.packages import container_runs
from broker.testing.postgres import postgres_program
from broker.testing.rabbitmq import RabbitMissing, rabbitmq_program
from broker.testing.softhsm import SoftHsmMissing, softhsm_library

__all__ = ["missing_programs"]


def missing_programs(log: Callable[[str], None] = print) -> tuple[str, ...]:
    """Return the Debian packages that are neither here nor could be installed.

    Args:
        log: told in one line of each program where it is, and in one before anything is installed.
    """
    missing = []
    try:
        log(f"RabbitMQ: {rabbitmq_program(log)}")
    except RabbitMissing:
        missing.append("rabbitmq-server")
    postgres = postgres_program(log)
    if postgres is not None:
        log(f"PostgreSQL: {postgres}")
    elif not container_runs():
        missing.append("postgresql")
    try:
        log(f"SoftHSM: {softhsm_library(log)}")
    except SoftHsmMissing:
        missing.append("softhsm2")
    return tuple(missing)


if __name__ == "__main__":
    if missing := missing_programs():
        sys.exit(
            f"The tests start, kill and restart servers of their own. Missing: {', '.join(missing)}. Install these packages "
            "(on Debian, make test does so itself when root runs it), then run make test again. make check needs none of them."
        )
