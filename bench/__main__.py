"""`script/bench relay [--quick] [--only PART] [--out FILE]`."""

import argparse
import os
from pathlib import Path

from bench import relay
from bench.programs import PROJECT


def main() -> None:
    """One sub-command for each benchmark."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("relay", help=relay.__doc__)
    one.add_argument("--quick", action="store_true", help="a look: few and short rounds")
    one.add_argument("--only", action="append", choices=relay.PARTS, help="may be repeated")
    one.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")
    options = parser.parse_args()
    data = Path(os.environ.get("FLEXHUB_DATA") or PROJECT / ".data")
    out = options.out or data / f"bench-{options.command}.json"
    relay.run(tuple(options.only or relay.PARTS), out.resolve(), quick=options.quick)


if __name__ == "__main__":
    main()
