"""What a user can cause ends in one clear line and an exit code, never in a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


class UsageError(Exception):
    """What was asked for cannot be done: a missing file, a bad option, a config typo. Exit code 2.

    `alone` says that no other process will say it.
    """

    alone = False


class DataError(Exception):
    """What was read is broken: a truncated zip, a damaged shard, a NaN loss. Exit code 1."""


class StoppedError(Exception):
    """A signal asked a run to stop, and the same command goes on with it. Exit code 75, sysexits.h's EX_TEMPFAIL."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; turn the errors above into one line on stderr and an exit code.

    A defect of this project still shows its traceback: only what the user can mend is shortened. Under torchrun all
    ranks meet the same UsageError, so rank 0 alone says it; broken data may be met by one rank only.
    """
    try:
        main()
    except UsageError as error:
        if error.alone or os.environ.get("RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except StoppedError as stopped:
        if os.environ.get("RANK", "0") == "0":
            print(stopped, file=sys.stderr, flush=True)
        sys.exit(75)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        sys.exit(130)
