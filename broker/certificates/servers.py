# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the certificate of a web server is judged by."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["server_context"]


def server_context(authority: Path | None = None) -> ssl.SSLContext:
    """Return TLS towards a server that judges its certificate alike whatever the version of Python.

    Python judges so by itself from 3.13 on: what an older one let pass would fail on the day of an upgrade.

    Args:
        authority: of its certificate; None: those that the system believes.

    Raises:
        OSError: the authority cannot be read.
    """
    context = ssl.create_default_context(cafile=authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN  # RFC 5280 to the letter
    return context
