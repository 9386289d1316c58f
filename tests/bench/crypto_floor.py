# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the cryptography of one message costs in processor time: nothing that the product does can be cheaper.

It is measured by two processes at once, as two nodes do their work at once: on most machines a core is slower while its
neighbour is busy, and a cost taken on two busy cores must not be held against a floor taken on an idle machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from broker.core.trust import KeyUse
from broker.security import jwk, primitives, suite

ROUNDS = 100
TOGETHER = 2  # as many as nodes run in a measurement
CONTENT_BYTES = 5600  # signing input of a 4 KB message


def floor_ms() -> dict[str, float]:
    """Return the mean processor milliseconds of each operation and their sum for one envelope."""
    command, root = [sys.executable, "-m", "tests.bench.crypto_floor"], Path(__file__).parents[2]
    runs = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(TOGETHER)]
    answers = [run.communicate()[0] for run in runs]
    if any(run.returncode for run in runs):
        raise SystemExit("the cryptographic floor could not be measured")
    costs = [json.loads(answer) for answer in answers]
    return {operation: mean(cost[operation] for cost in costs) for operation in costs[0]}


def _costs_ms() -> dict[str, float]:
    content = b"x" * CONTENT_BYTES
    ml_dsa, ed = mldsa.MLDSA65PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    ml_signature, ed_signature = ml_dsa.sign(content), ed.sign(content)
    ml_public, ed_public = ml_dsa.public_key(), ed.public_key()
    seed, public = jwk.generate(KeyUse.HPKE)
    ring = suite.KeyRing({jwk.thumbprint(KeyUse.HPKE, public): seed})
    kid, recipient = jwk.thumbprint(KeyUse.HPKE, public), primitives.hpke_public(public)
    sealed = suite.hpke().encrypt(b"k" * 32, recipient, suite.HPKE_INFO)
    ek, encrypted = sealed[: suite.EK_LENGTH], sealed[suite.EK_LENGTH :]
    operations: dict[str, Callable[[], object]] = {
        "ML-DSA-65 sign": lambda: ml_dsa.sign(content),
        "Ed25519 sign": lambda: ed.sign(content),
        "HPKE seal": lambda: suite.hpke().encrypt(b"k" * 32, recipient, suite.HPKE_INFO),
        "HPKE open": lambda: ring.open(kid, ek=ek, ciphertext=encrypted, info=suite.HPKE_INFO),
        "ML-DSA-65 verify": lambda: ml_public.verify(ml_signature, content),
        "Ed25519 verify": lambda: ed_public.verify(ed_signature, content),
    }
    costs = {name: _mean_ms(operation) for name, operation in operations.items()}
    return {**costs, "one envelope": sum(costs.values())}


def _mean_ms(operation: Callable[[], object]) -> float:
    operation()
    started = time.process_time()
    for _ in range(ROUNDS):
        operation()
    return 1000 * (time.process_time() - started) / ROUNDS


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_costs_ms()))
