"""`script/bench NAME [options]`: what is measured, one file for each name."""

import argparse
import sys
from typing import Protocol

from bench import (
    console,
    delivery,
    faults,
    flex,
    former,
    guards,
    ingest,
    listing,
    pull,
    record,
    recovery,
    relay,
    rolling,
    statuses,
)


class Bench(Protocol):
    """What a file of this folder offers to be called by its name."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say which options there are."""

    def run(self, options: argparse.Namespace) -> int:
        """Measure, print; the exit code."""


BENCHES: dict[str, Bench] = {
    "console": console,
    "relay": relay,
    "delivery": delivery,
    "ingest": ingest,
    "list": listing,
    "faults": faults,
    "pull": pull,
    "record": record,
    "guards": guards,
    "statuses": statuses,
    "former": former,
    "flex": flex,
    "recovery": recovery,
    "rolling": rolling,
}


def main() -> int:
    """Each benchmark says which options it takes, and runs with them."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, bench in BENCHES.items():
        bench.add_arguments(commands.add_parser(name, help=(bench.__doc__ or "").splitlines()[0]))
    options = parser.parse_args()
    return BENCHES[options.command].run(options)


if __name__ == "__main__":
    sys.exit(main())
