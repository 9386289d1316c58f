# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Carries sealed envelopes: RabbitMQ, or a directory per country (spool). Nothing here can read one.

- `spool.py` over `spool_folder.py`: a folder that both countries reach, or a stick that is carried.
- `rabbit.py` over `rabbit_link.py`, the one connection; `rabbit_delivery.py` judges what a publisher wrote around a message.
- `topology.py` and `rights.py` say what stands on the message broker and who may use it; `management.py` makes it so.
"""
