# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transaction steps that decide about a believed message.

- `deciding.py` records a message or refuses it; one decision is one transaction, with its receipt.
- `admission.py` says whether a message fits and which procedure it belongs to; it writes nothing.
- `calling.py` calls a person of the office for what a recorded message asks of it.
- `peer_words.py` takes what the other node says of ours: receipts, and chunks that it lacks.
- `remembering.py` keeps one decision per message: what comes again is answered again.
- `answering.py` tells a country that was restored what passed; `healing.py` takes that where this node was, and
  `returned.py` believes of it what we had signed.
- `witness.py` keeps the heads of audit trails that other countries sign.
"""

from broker.reception.deciding import MISSING_TYPE, Reception

__all__ = ["MISSING_TYPE", "Reception"]
