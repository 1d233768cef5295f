"""Figures and the report: pure functions from results to plotly figures.

plotly is imported when the first figure is made.
"""

from drs.plotting.capacity import answer, distribution, growth_band, over, tornado
from drs.plotting.goals import frontier, goal_scores
from drs.plotting.hosts import host_load, load_balance, load_distribution, load_history
from drs.plotting.migration import curve, downtime_curve, five_kinds, rounds
from drs.plotting.schedule import link_load, timeline, topology

__all__ = [
    "answer",
    "curve",
    "distribution",
    "downtime_curve",
    "five_kinds",
    "frontier",
    "goal_scores",
    "growth_band",
    "host_load",
    "link_load",
    "load_balance",
    "load_distribution",
    "load_history",
    "over",
    "rounds",
    "timeline",
    "topology",
    "tornado",
]
