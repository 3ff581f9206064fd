"""Rows a second through a user's own function, which runs in a confined process, and what a row costs there.

    python bench/own_filter.py --rows 2000 --characters 1000

The function looks at a row's length and keeps every row. Waits are the voluntary context switches of both processes: on a busy
machine each of them may cost far more than the work. Starting the process is in the processor's time, and not in the rows a second: a
first row goes before.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from luthier.core.examples import Text
from luthier.data.pipeline import clean
from luthier.data.steps import OwnFilter

SOURCE = "def keep(row):\n    return len(row['text']) > 3\n"


def used() -> tuple[float, int]:
    """Processor seconds and voluntary context switches, of this process and of those that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both), sum(one.ru_nvcsw for one in both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--characters", type=int, default=1000)
    args = parser.parse_args()
    draw = random.Random(0)
    rows = [Text(str(i), "".join(draw.choices("abcdefgh ", k=args.characters)), source=f"rows.txt:{i}") for i in range(args.rows)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "filters.py").write_text(SOURCE, encoding="utf-8")
        step = OwnFilter(function="filters.py:keep", confinement="possible").rooted(Path(folder))
        before = used()
        clean(rows[:1], [step])
        began = time.monotonic()
        assert len(clean(rows, [step]).kept) == len(rows)
        seconds = time.monotonic() - began
        step._running()._confined.close()  # what it used is told when it has ended
    cpu, waits = (after - first for after, first in zip(used(), before, strict=True))
    print(json.dumps({"rows": args.rows, "rows_per_s": round(args.rows / seconds), "cpu_ms": round(1000 * cpu), "waits": waits}))


if __name__ == "__main__":
    main()
