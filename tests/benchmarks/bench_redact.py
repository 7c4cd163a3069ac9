"""What it costs to keep 20 keys out of a megabyte of text, beside a plain look for the keys as they are.

python -m tests.benchmarks.bench_redact
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable

from pydantic import SecretStr

from workbench.policy.secrets import Secrets

SIZE = 1_000_000


def best(work: Callable[[], object], tries: int = 15) -> float:
    """Milliseconds of the fastest try: what the machine does besides only makes it slower."""
    times = []
    for _ in range(tries):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def main() -> None:
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    keys = ["sk-" + "".join(chance.choices(letters, k=48)) for _ in range(20)]
    secrets = Secrets({str(number): SecretStr(key) for number, key in enumerate(keys)})
    words = ["".join(chance.choices(letters[:26], k=chance.randint(2, 10))) for _ in range(5000)]
    texts = {
        "prose": " ".join(chance.choices(words, k=200_000))[:SIZE],
        "base64": base64.b64encode(chance.randbytes(SIZE * 3 // 4)).decode(),
        "prose with 100 keys": "".join(
            " ".join(chance.choices(words, k=1400)) + chance.choice(keys) for _ in range(100)
        ),
    }
    for name, text in texts.items():
        plain = best(lambda text=text: [key in text for key in keys])  # type: ignore[misc]  # bound now
        redacted = best(lambda text=text: secrets.redact(text))  # type: ignore[misc]  # as above
        size = len(text) / SIZE
        print(f"{name}: {redacted / size:.1f} ms a MB, plain look {plain / size:.1f}, ratio {redacted / plain:.1f}")


if __name__ == "__main__":
    main()
