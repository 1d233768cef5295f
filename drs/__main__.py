"""The command `drs`, and `python -m drs`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while its libraries are loaded ends as quietly as later."""
    try:
        from drs.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(4) from None


if __name__ == "__main__":
    main()
