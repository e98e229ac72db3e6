"""What a user can cause ends in one clear line and an exit code, never in a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UsageError(Exception):
    """What was asked for cannot be done: a missing file, a bad option, a config typo. Exit code 2."""


class DataError(Exception):
    """What was read is broken: a truncated zip, a damaged shard, a NaN loss. Exit code 1."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; turn the two errors above into one line on stderr and an exit code.

    A defect of this project still shows its traceback: only what the user can mend is shortened.
    """
    try:
        main()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        sys.exit(130)
