"""`python -m stack serve [--demo]`, `… web`, `… worker QUEUE`, `… test -- command`."""

import argparse
import os
import sys
from pathlib import Path

from stack import alone, throwaway
from stack.errors import SetupError
from stack.serve import WORKERS, Runner, Settings

CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Whatever a person can mend is told in one line."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the hub until Ctrl-C")
    serve.add_argument("--demo", action="store_true", help="with simulated parties")
    serve.add_argument("--project", type=Path, default=CHECKOUT, help="folder of manage.py")
    web = commands.add_parser("web", help="one web process on HOST and PORT, kept alive")
    web.add_argument("--project", type=Path, default=CHECKOUT, help="folder of manage.py")
    work = commands.add_parser("worker", help="one worker, kept alive")
    work.add_argument("group", choices=WORKERS, help="its queue")
    work.add_argument("--project", type=Path, default=CHECKOUT, help="folder of manage.py")
    test = commands.add_parser("test", help="run a command with PostgreSQL and Valkey of its own")
    test.add_argument("run", nargs=argparse.REMAINDER, metavar="-- command")
    options = parser.parse_args()
    try:
        if options.command == "serve":
            return Runner(Settings.read(os.environ, options.project, demo=options.demo)).run()
        if options.command == "web":
            return alone.run(os.environ, options.project)
        if options.command == "worker":
            return alone.run_worker(os.environ, options.project, options.group)
        return throwaway.run(options.run[1:] if options.run[:1] == ["--"] else options.run)
    except KeyboardInterrupt:
        return 130
    except SetupError as error:
        sys.stderr.write(f"flexhub: {error}\n")
    except OSError as error:
        sys.stderr.write(f"flexhub: {error.filename or 'system'}: {error.strerror or error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
