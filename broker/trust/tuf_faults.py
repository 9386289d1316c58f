# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What TUF raises, turned into the rule that was broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuf.api import exceptions as tuf_errors

from broker.core.errors import DiskFull, HomeInvalid, TrustListInvalid
from broker.core.trust import TrustRule
from broker.durable import is_full

__all__ = ["CertificateRefused", "translated"]


class CertificateRefused(tuf_errors.DownloadError):
    """The server's certificate is not acceptable."""


_RULES: tuple[tuple[type[Exception], TrustRule, str], ...] = (  # the special before the general
    (tuf_errors.ExpiredMetadataError, TrustRule.EXPIRED, "A signed list has run out."),
    (tuf_errors.BadVersionNumberError, TrustRule.VERSION, "A signed list is older than one seen before, or skipped."),
    (tuf_errors.UnsignedMetadataError, TrustRule.THRESHOLD, "A list is not signed by enough of its officers."),
    (tuf_errors.LengthOrHashMismatchError, TrustRule.HASH, "A file is not the one that was signed for."),
    (tuf_errors.RepositoryError, TrustRule.MALFORMED, "A signed list cannot be read."),
    (tuf_errors.DownloadLengthMismatchError, TrustRule.TOO_LARGE, "A file is larger than it may be."),
    (tuf_errors.SlowRetrievalError, TrustRule.UNREACHABLE, "The source of the trust list is too slow."),
    (CertificateRefused, TrustRule.UNREACHABLE, "The certificate of the trust list's source is not acceptable."),
    (tuf_errors.DownloadError, TrustRule.UNREACHABLE, "The source of the trust list does not answer."),
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what TUF raises into ours; its texts may hold anything and go no further.

    Raises:
        TrustListInvalid: with the rule that was broken.
        DiskFull, HomeInvalid: the list cannot be worked on here.
    """
    try:
        yield
    except TrustListInvalid:
        raise
    except tuf_errors.DownloadHTTPError as error:
        raise _of_status(error.status_code) from None
    except (tuf_errors.RepositoryError, tuf_errors.DownloadError) as error:
        rule, sentence = next((rule, text) for kind, rule, text in _RULES if isinstance(error, kind))
        raise TrustListInvalid(sentence, rule=rule) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # what TUF's reader did not foresee
        sentence = f"A signed list cannot be read ({type(error).__name__})."
        raise TrustListInvalid(sentence, rule=TrustRule.MALFORMED) from None
    except OSError as error:
        if is_full(error):
            raise DiskFull from None
        raise HomeInvalid(f"The trust list cannot be worked on ({type(error).__name__}).") from None


def _of_status(status: int) -> TrustListInvalid:
    if status in {403, 404}:
        return TrustListInvalid("A file that the list names is not there.", rule=TrustRule.MISSING)
    return TrustListInvalid(f"The source of the trust list answers {status}.", rule=TrustRule.UNREACHABLE)
