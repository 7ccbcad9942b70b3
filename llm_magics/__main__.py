"""The command: ``llm-magics doctor``, or ``python -m llm_magics doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

_INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 1 when something has to be mended."""
    parser = argparse.ArgumentParser(prog="llm-magics", description="Checks this machine for llm_magics.")
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="check driver, GPU, packages, pins, signatures, MPI, disk and memory, and run one token")
    doctor.add_argument("--json", action="store_true", help="print JSON for a bug report; tokens, passwords and user names are left out")
    doctor.add_argument("--no-smoke", action="store_true", help="leave out the run of one token")
    args = parser.parse_args(words)
    try:
        return _doctor(as_json=args.json, smoke=not args.no_smoke)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # read by `head`
        sys.stderr.close()
        return 1


def _doctor(*, as_json: bool, smoke: bool) -> int:
    from . import doctor

    if as_json:
        done = list(doctor.checks(smoke, started=doctor.tell_started))
        sys.stdout.write(doctor.as_json(done) + "\n")
    else:
        done = doctor.show(smoke=smoke)
    return int(bool(doctor.failed(done)))


if __name__ == "__main__":
    sys.exit(main())
