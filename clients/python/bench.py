"""What this package costs beside its bare stubs, for ``cargo xtask figures clients``.

``python bench.py SECONDS`` against the server of the environment, which has the prompts ``figures-00000`` to ``figures-09999``.
SECONDS is the duration of each measurement. It prints one line of JSON.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from pathlib import Path  # noqa: E402

from prompt_ledger import PromptLedger, connect, proto  # noqa: E402
from prompt_ledger._ids import uuid7  # noqa: E402

CALLERS = 8
# The layer and the stub take turns this often.
TURNS = 10
NAMES = [f"figures-{number:05}" for number in range(10_000)]
MODEL = "echo/echo"


def timed(call: Callable[[], object], end: float) -> list[float]:
    """How long each call took, in seconds, until ``end``."""
    times = []
    began = time.perf_counter()
    while began < end:
        call()
        ended = time.perf_counter()
        times.append(ended - began)
        began = ended
    return times


class Row:
    """What the turns of one side had; figures are medians of the turns."""

    def __init__(self, call: str, by: str) -> None:
        self.call, self.by = call, by
        self.turns: list[tuple[float, float, float]] = []

    def add(self, times: list[float], elapsed: float) -> None:
        times.sort()
        p50, p99 = (1e6 * times[int(len(times) * share)] for share in (0.5, 0.99))
        self.turns.append((len(times) / elapsed, p50, p99))

    def shown(self) -> dict[str, object]:
        rate, p50, p99 = (statistics.median(column) for column in zip(*self.turns, strict=True))
        return {"call": self.call, "by": self.by, "per_second": rate, "p50_us": p50, "p99_us": p99}


def turn(row: Row, call: Callable[[], object], pool: ThreadPoolExecutor, seconds: float) -> None:
    began = time.perf_counter()
    callers = [pool.submit(timed, call, began + seconds) for _ in range(CALLERS)]
    times = [each for caller in callers for each in caller.result()]
    row.add(times, time.perf_counter() - began)


def calls(ledger: PromptLedger, seconds: float) -> Iterator[Row]:
    """GetPrompt and submits, by the layer and by the stub in turns."""
    read = proto.GetPromptRequest(name=NAMES[0])
    model = proto.ModelRef(provider="echo", model_name="echo")

    def submit() -> object:
        spec = proto.ExecutionSpec(prompt_name=NAMES[0], model=model, idempotency_key=uuid7())
        return ledger.raw.executions.SubmitExecution(proto.SubmitExecutionRequest(spec=spec), timeout=30)

    sides: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "prompts.get": (lambda: ledger.prompts.get(NAMES[0]), lambda: ledger.raw.registry.GetPrompt(read, timeout=30)),
        "submit": (lambda: ledger.submit(NAMES[0], model=MODEL), submit),
    }
    with ThreadPoolExecutor(CALLERS) as pool:
        for name, (by_layer, by_stub) in sides.items():
            layer, stub = Row(name, "layer"), Row(name, "stub")
            for _ in range(TURNS):
                turn(layer, by_layer, pool, seconds / TURNS)
                turn(stub, by_stub, pool, seconds / TURNS)
            yield from (layer, stub)


def resident() -> int:
    """Of this process, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    seconds = float(sys.argv[1])
    with connect() as ledger:
        ledger.prompts.get(NAMES[0])
        start = time.perf_counter() - BEGAN
        rows = [row.shown() for row in calls(ledger, seconds)]
        before = resident()
        with ledger.prompt_cache(name_prefix="figures-") as cache:
            cached = resident() - before
            names = iter(NAMES * 1_000)
            row = Row("cache.get", "layer")
            began = time.perf_counter()
            row.add(timed(lambda: cache.get(next(names)), began + seconds / TURNS), time.perf_counter() - began)
            rows.append(row.shown())
    print(json.dumps({"start_ms": 1e3 * start, "rows": rows, "cache_bytes": cached}))


if __name__ == "__main__":
    main()
