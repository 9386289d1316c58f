# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at everything a node needs and says what to do; changes nothing, and may run beside the node.

- Looking (`examining`) and judging (`judging`, pure) are apart, so that every sentence has a test.
- A check whose ground is missing is skipped with a reason; it is never counted as good.
"""

from broker.doctor.examining import examine
from broker.doctor.judging import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
