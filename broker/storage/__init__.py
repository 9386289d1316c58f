# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store on SQLite (embedded default) and PostgreSQL, in SQLAlchemy Core statements built once at import."""
