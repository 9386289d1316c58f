# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Shipped simulators, fault wrappers, contract suites and service provisioning, for us and for adapter authors.

- Without any server: `world.py` runs the nodes of several countries on one hand-moved clock; `hostile.py` is a member that
  breaks the rules, `faults.py` loses and repeats what is sent, `crashes.py` ends a process at a chosen call.
- With real homes and processes: `federation.py`, `trust.py` and `offices.py` make a small federation, `backed_home.py` a
  filled node; `postgres.py`, `rabbitmq.py` and `softhsm.py` start what they run on.
- What every part must do: `store_contract.py` and its pieces, `transport_contract.py`, `adapter_contract.py`.
- What a test searches for and spoils: `canaries.py`, `spoiling.py`, `vectors.py`, `sealed_vectors.py`, `record_pair.py`.
"""
