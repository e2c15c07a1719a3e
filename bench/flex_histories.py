"""Random histories of FSPs on the real tables with a driven clock: no gap, nothing stale.

`python -m bench.flex_histories FIRST COUNT` carries them out, on the database of the environment.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from bench.programs import run_to_end
from bench.setting import services


def run(histories: int, first: int = 0) -> int:
    """Carry out so many, in a database of their own; 1 where one went wrong."""
    with TemporaryDirectory() as folder, services(Path(folder)) as env:
        more = {"LOG_LEVEL": "ERROR"}
        told = run_to_end(env | more, "-m", "bench.flex_histories", str(first), str(histories))
    sys.stdout.write(told)
    return 0 if told.rstrip().endswith("met") else 1


def carry_out(first: int, histories: int) -> None:
    """In this process; prints each that went wrong, and the sum."""
    from tests.flex.histories import by_hand  # noqa: PLC0415 - needs the loaded settings
    from tests.flex.histories.history import random_history  # noqa: PLC0415

    by_hand.join_parties()
    by_hand.agree()
    by_hand.locate()
    counted: Counter[str] = Counter()
    began = process_time()
    with by_hand.driven_clock() as clock:
        for seed in range(first, first + histories):
            history = random_history(seed)
            hand = by_hand.ByHand(history, clock, seed)
            faults = hand.run()
            counted.update(hand.counted())
            if faults:
                counted["went wrong"] += 1
                sys.stdout.write("\n".join([str(history), *faults, ""]))
                sys.stdout.flush()
    met = not counted["went wrong"]
    sys.stdout.write(
        f"{histories:,} histories, {counted['commands']:,} commands at the CPO, "
        f"{counted['switches']:,} switches ({counted['attention']:,} told the operator), "
        f"{counted['gaps']} gaps, {counted['stale']} stale pushes; {counted['disorders']:,} times "
        f"a CPO carried out late what it had not answered; {process_time() - began:.0f} s of CPU: "
        f"{'met' if met else 'MISSED'}\n"
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    import django

    django.setup()
    carry_out(int(sys.argv[1]), int(sys.argv[2]))
