"""Bundled clusters, and a generator of clusters of any size.

`load("small")` and `load("medium")` read the two bundled folders, `card` tells what they are; `make_cluster`
invents a cluster whose VM sizes and loads follow published fleet statistics (`drs.datasets.fleet`).
"""

from drs.datasets.bundled import Card, card, copy, describe, load, names, path
from drs.datasets.generator import make_cluster

__all__ = ["Card", "card", "copy", "describe", "load", "make_cluster", "names", "path"]
