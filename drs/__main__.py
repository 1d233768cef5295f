"""The command `drs`, and `python -m drs`."""

from __future__ import annotations

import sys
import traceback


def main() -> None:
    """Run the command line; Ctrl-C while its libraries are loaded ends as quietly as later.

    A fault of drs itself ends with 70 (EX_SOFTWARE), which no answer does.
    """
    try:
        from drs.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(4) from None
    except Exception:  # nothing that a command could tell: a library that cannot be loaded
        traceback.print_exc()
        raise SystemExit(70) from None


if __name__ == "__main__":
    main()
