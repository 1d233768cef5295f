"""`python -m drs.cli` is the command too."""

from drs.cli import main

main()
