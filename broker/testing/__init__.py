# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Shipped simulators, fault wrappers, contract suites and service provisioning, for us and for adapter authors."""
