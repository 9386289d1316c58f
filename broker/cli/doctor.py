# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm doctor`: print what `broker.doctor` found."""

from __future__ import annotations

import asyncio
from pathlib import Path

from broker.cli import output
from broker.doctor import Verdict, examine
from broker.system import SystemClock

__all__ = ["doctor"]

_SIGNS = {Verdict.OK: "ok", Verdict.WARNING: "LOOK", Verdict.FAILED: "FAILED", Verdict.SKIPPED: "skipped"}


def doctor(home: Path, *, as_json: bool) -> int:
    """Examine the home and return the exit code: 1 where a check failed."""
    findings = asyncio.run(examine(home, SystemClock()))
    healthy = all(finding.verdict is not Verdict.FAILED for finding in findings)
    document = {
        "home": str(home),
        "healthy": healthy,
        "checks": [
            {"name": f.name, "verdict": f.verdict.value, "sentence": f.sentence, "advice": f.advice} for f in findings
        ],
    }

    def people() -> None:
        console = output.console()
        for finding in findings:
            console.print(f"{_SIGNS[finding.verdict]:<8}{finding.name:<12}{output.plain(finding.sentence)}")
            if finding.advice:
                console.print(f"{'':<20}→ {output.plain(finding.advice)}")

    output.answer(document, as_json=as_json, people=people)
    return output.EXIT_OK if healthy else output.EXIT_REFUSED
