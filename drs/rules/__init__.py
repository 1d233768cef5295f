"""The catalogue of rules: one file per rule, each found in `RULES` by the type it has in `rules.toml`."""

from drs.rules.base import RULES, Rule, Violation
from drs.rules.keep_apart import KeepApart

__all__ = ["RULES", "KeepApart", "Rule", "Violation"]
