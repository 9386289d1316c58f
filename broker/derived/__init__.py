# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What follows from the cases that are stored, worked out at each look and never kept as state of its own.

- `archive.py` reads messages with all that corrects them, whichever procedure that was sent in; the others stand on it.
- `participation.py` says which offices take part in a procedure, and copies that for lists.
- `speaking.py` says whether a procedure speaks of a person.
- `casefile.py` reads what was exchanged before and weighs in the decision about the next message.
- `timetable.py` says how a procedure's deadlines stand, and `surges.py` where surge mode is on.
- `disclosed.py` says what of a case went to whom, and `meanwhile.py` what passed in the case of a held message.
- `restraint.py` counts what one person was shown in an hour.
"""

__all__: list[str] = []
