"""``./saltern <verb>``: reads the arguments, takes the lock, prints an error as cause, log and next command."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from allinone import down, tempest, testing, up
from allinone import layout as layouts
from allinone.console import Console, Stop

HELP = """\
  up      set everything up on this machine and deploy OpenStack; may be run again at any time
  test    run all checks and tests (further arguments go to pytest)
  tempest run a selection of OpenStack's own tests against the cloud (arguments: regular expressions of others)
  down    stop the cloud; with --purge remove everything that was made here
  help    this text
"""


def parser() -> argparse.ArgumentParser:
    """All arguments of all verbs."""
    top = argparse.ArgumentParser(
        prog="./saltern",
        description="OpenStack in containers, by Salt.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="up | test | tempest | down | help")
    verbs.add_parser(
        "up", help=argparse.SUPPRESS, description="Set everything up and deploy; continues where it was interrupted."
    )
    down = verbs.add_parser(
        "down", help=argparse.SUPPRESS, description="Stop the cloud's containers and Salt's daemons of this checkout."
    )
    down.add_argument(
        "--purge", action="store_true", help="also remove containers, volumes, images, state and .saltern"
    )
    down.add_argument("--yes", action="store_true", help="do not ask for the cloud's name (scripts)")
    verbs.add_parser("test", help=argparse.SUPPRESS, add_help=False, description="Run all checks and tests.")
    verbs.add_parser("tempest", help=argparse.SUPPRESS, add_help=False, description="Run Tempest against the cloud.")
    verbs.add_parser("help", help=argparse.SUPPRESS)
    return top


def main(arguments: list[str]) -> int:
    """The exit code: 0 good, 1 failed, 4 refused, 5 something is out of reach."""
    known, rest = parser().parse_known_args(arguments)
    if rest and known.verb not in ("test", "tempest"):
        parser().error(f"unknown argument: {' '.join(rest)}")
    layout = layouts.here()
    console = Console.on(sys.stdout, dict(os.environ))
    try:
        if known.verb in (None, "help"):
            parser().print_help()
            return 0
        if known.verb == "test":
            return testing.run(layout, console, rest)
        if known.verb == "tempest":
            return tempest.run(layout, console, rest)
        with lock(layout, known.verb):
            if known.verb == "down":
                return down.run(layout, console, purge=known.purge, yes=known.yes)
            return up.run(layout, console)
    except Stop as error:
        return explain(console, error)
    except KeyboardInterrupt:
        console.say(f"\nInterrupted. Nothing is lost; go on with: ./saltern {known.verb}")
        return 130


def explain(console: Console, error: Stop) -> int:
    """Cause, last lines, log, next command."""
    console.say()
    console.say(f"✗ {error.cause}")
    for line in error.tail.splitlines():
        console.say(f"    {line}")
    if error.log:
        console.say(f"  Log:  {error.log}")
    if error.advice:
        console.say(f"  Next: {error.advice}")
    return error.code


@contextmanager
def lock(layout: layouts.Layout, verb: str) -> Iterator[None]:
    """One ``up`` or ``down`` at a time in a checkout; tests do not touch the cloud and need no lock."""
    layout.dot.mkdir(exist_ok=True)
    with (layout.dot / "lock").open("w") as file:
        try:
            # lockf, not flock: the daemons we start inherit descriptors, and would hold an flock for good.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Stop(
                "Another ./saltern works in this checkout just now",
                advice=f"wait for it, then ./saltern {verb}",
                code=4,
            ) from None
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
