"""Random histories of FSPs on the real tables with a driven clock: no gap, nothing stale.

Several processes share them, each with a database of its own: `python -m bench.flex_histories
FIRST COUNT` carries out those of one.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from urllib.parse import urlsplit

import psycopg

from bench.programs import PROJECT
from bench.setting import services

# After so many each process says how far it is: what was carried out counts when it is stopped.
_A_LINE = 20
_WORDS = {
    "commands": "{:,} commands at the CPO",
    "switches": "{:,} switches",
    "attention": "{:,} of them told the operator",
    "gaps": "{:,} gaps",
    "stale": "{:,} stale pushes",
    "disorders": "{:,} times a CPO carried out late what it had not answered",
    "wrong": "{:,} histories went wrong",
}


def run(histories: int, first: int = 0, processes: int = 1) -> int:
    """Carry out so many; 1 where one went wrong."""
    total: Counter[str] = Counter()
    bounds = [first + histories * number // processes for number in range(processes + 1)]
    with TemporaryDirectory() as folder, services(Path(folder), durable=False) as env:
        urls = _databases(env["DATABASE_URL"], processes)
        with ThreadPoolExecutor(processes) as pool:
            for number, url in enumerate(urls):
                seeds = range(bounds[number], bounds[number + 1])
                pool.submit(_process, env | {"DATABASE_URL": url}, seeds, total)
    is_met = total["histories"] == histories and not total["wrong"]
    sys.stdout.write(f"{_said(total)}: {'met' if is_met else 'MISSED'}\n")
    return 0 if is_met else 1


def _said(total: Counter[str]) -> str:
    each = total["milliseconds"] / max(1, total["histories"])
    words = [words.format(total[name]) for name, words in _WORDS.items()]
    return ", ".join(
        [f"{total['histories']:,} histories", *words, f"{each:.0f} ms of CPU each without PG's"]
    )


def _databases(url: str, number: int) -> list[str]:
    """Copies of the migrated one, which itself stays as it is."""
    parts = urlsplit(url)
    template = parts.path.removeprefix("/")
    names = [f"histories{one}" for one in range(number)]
    server = parts._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True) as database:
        for name in names:
            database.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return [parts._replace(path=f"/{name}").geturl() for name in names]


def _process(env: dict[str, str], seeds: range, total: Counter[str]) -> None:
    """One process: what it counts goes to the total, what else it says is of one gone wrong."""
    with subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "bench.flex_histories", str(seeds.start), str(len(seeds))],
        env={**os.environ, **env, "LOG_LEVEL": "CRITICAL"},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout or ():
            if line.startswith("{"):
                total.update(json.loads(line))
                sys.stderr.write(f"{_said(total)}\n")
            else:
                sys.stdout.write(line)
                sys.stdout.flush()


def carry_out(first: int, histories: int) -> None:
    """In this process; prints each that went wrong, and now and then what there was since."""
    from tests.flex.histories import by_hand  # noqa: PLC0415 - needs the loaded settings
    from tests.flex.histories.history import random_history  # noqa: PLC0415

    by_hand.join_parties()
    by_hand.agree()
    by_hand.locate()
    counted: Counter[str] = Counter()
    began = process_time()
    last = first + histories - 1
    with by_hand.driven_clock() as clock:
        for seed in range(first, first + histories):
            history = random_history(seed)
            hand = by_hand.ByHand(history, clock, seed)
            faults = hand.run()
            counted.update(hand.counted() | {"histories": 1, "wrong": bool(faults)})
            if faults:
                sys.stdout.write("\n".join([str(history), *faults, ""]))
            if faults or seed == last or not (seed + 1) % _A_LINE:
                counted["milliseconds"] = round(1000 * (process_time() - began))
                began = process_time()
                sys.stdout.write(f"{json.dumps(counted)}\n")
                sys.stdout.flush()
                counted.clear()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    import django

    django.setup()
    carry_out(int(sys.argv[1]), int(sys.argv[2]))
