# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm demo`: run the demonstration and tell people, or a script, what it proved."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from pathlib import Path

from broker.cli import output
from broker.cli.input import one_of
from broker.core.errors import BrokerError
from broker.demo import scenario
from broker.demo.checks import judge
from broker.demo.evidence import Evidence
from broker.demo.report import Report, country_name, document, told
from broker.demo.stage import COUNTRIES, Stage, set_stage

__all__ = ["demo"]

_TRANSPORTS = ("auto", "rabbitmq", "spool")


def demo(transport: str, *, folder: Path | None, keep: bool, as_json: bool) -> int:
    """Run it and return the exit code: 0 only where every claim is proven.

    Raises:
        BadRequest: no such transport.
        BrokerError: it could not be run to its end; the files stay, and what was started has ended.
    """
    one_of(_TRANSPORTS, transport, "--transport", what="The transport")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends us the way Ctrl-C does: through every `finally`
    begun = time.monotonic()
    submissions = scenario.examples()
    asked = submissions["request"]["recipient"]["authority"]
    with set_stage(transport, folder, filedrop={COUNTRIES[1]: (asked,)}, log=_say) as stage:
        evidence = _play(stage, submissions)
    report = Report(
        scenario=scenario.NAME,
        transport=stage.transport,
        folder=str(stage.folder) if keep else None,
        seconds=time.monotonic() - begun,
        evidence=evidence,
        outcomes=judge(evidence),
    )
    output.answer(document(report), as_json=as_json, people=lambda: _tell(report))
    if not keep:
        shutil.rmtree(stage.folder, ignore_errors=True)
    return output.EXIT_OK if report.holds else output.EXIT_REFUSED


def _play(stage: Stage, submissions: scenario.Examples) -> Evidence:
    _say(f"The homes of {', '.join(COUNTRIES)} are in {stage.folder}; starting their nodes over {stage.transport}.")
    try:
        return asyncio.run(_walk(stage, submissions))
    except BrokerError:
        _say(f"THE DEMONSTRATION FAILED. Every node has ended; their logs are {stage.folder}/*/node.log")
        raise


async def _walk(stage: Stage, submissions: scenario.Examples) -> Evidence:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("this runs in a task")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await scenario.walk(stage, submissions)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _tell(report: Report) -> None:
    console, evidence = output.console(), report.evidence
    rows = ((line.at[11:23], line.who, line.what, line.state, line.evidence) for line in told(evidence))
    console.print()
    output.table(("time (UTC)", "who", "what", "state", "evidence"), rows, wide=("evidence",))
    for side in (evidence.requesting, evidence.requested):
        console.print(f"{country_name(side.country):<9}holds record {side.digest}  ({side.state})")
    equal = evidence.requesting.digest is not None and evidence.requesting.digest == evidence.requested.digest
    console.print("The two records are EQUAL." if equal else "THE TWO RECORDS DIFFER.")
    console.print()
    for outcome in report.outcomes:
        console.print(f"{'ok    ' if outcome.problem is None else 'FAILED'}  {outcome.claim}")
        if outcome.problem is not None:
            console.print(f"        {output.plain(outcome.problem)}")
    console.print()
    console.print("Proven." if report.holds else "NOT PROVEN: the demonstration failed.")
    place = f"Files: {report.folder}" if report.folder else "Its files have been removed."
    console.print(f"{place}  ({report.seconds:.1f} seconds, {report.transport})")
