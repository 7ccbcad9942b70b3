"""The command: ``llm-magics doctor``, or ``python -m llm_magics doctor``."""

from __future__ import annotations

import argparse
import sys


def main(words: list[str] | None = None) -> int:
    """Run the command; its exit status is 1 when something has to be mended."""
    parser = argparse.ArgumentParser(prog="llm-magics", description="Checks this machine for llm_magics.")
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="driver, GPU, packages, pins, signatures, MPI, disk, memory, one token")
    doctor.add_argument("--json", action="store_true", help="for a bug report; holds no secrets")
    doctor.add_argument("--no-smoke", action="store_true", help="leave out the run of one token")
    args = parser.parse_args(words)
    from . import doctor as checkup

    done = list(checkup.checks(smoke=not args.no_smoke))
    sys.stdout.write((checkup.as_json(done) if args.json else checkup.text(done)) + "\n")
    return int(any(check.state == "fail" for check in done))


if __name__ == "__main__":
    sys.exit(main())
