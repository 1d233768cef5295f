"""`python -m drs.cli` is the command too."""

from drs.__main__ import main

main()
