# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Carries sealed envelopes: RabbitMQ, or a directory per country (spool). Nothing here can read one."""
