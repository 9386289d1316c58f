# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: three nodes as processes of their own, one family tracing request and its answer, and the proof.

- Nothing is simulated: real homes, real keys, the real message broker (or the spool), the public API.
- What was seen is collected as a value (`evidence`); whether it proves what it must is a pure function (`checks`).
- Nothing of a case is printed: types, states, times, digests.
- Every process that was started is ended, whatever happens.
"""
