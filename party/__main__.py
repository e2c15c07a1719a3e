"""`python -m party check URL`: what a party can do by itself from a shell."""

import argparse
import asyncio
import sys

from party.check import command


def main() -> int:
    """Read the command line and do it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m party", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="does a party do what the text says?",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(check)
    return asyncio.run(command.run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
