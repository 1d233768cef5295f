"""What whoever extends `drs` tests with: small clusters in a compact notation (`drs.testing.scenarios`)."""

from drs.testing.scenarios import NAMED, ROWS, ask, expanded, frames_of

__all__ = ["NAMED", "ROWS", "ask", "expanded", "frames_of"]
