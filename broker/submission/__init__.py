# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a submission: the steps between a caller's wish and a message in the outbox.

- `placing.py` makes a draft of it: which procedure, which country and office, which version; nothing is stored.
- `sealed_files.py` holds its sealed files to the offices that it goes between.
- `attaching.py` makes attachments of uploaded files.
- `holding.py` keeps a message for a second person, and gives back what its author asked for.
- `recording.py` writes message, record, answer and audit together, under the procedure's lock.
- `repeating.py` answers the same idempotency key alike (promise P1).
"""

__all__: list[str] = []
