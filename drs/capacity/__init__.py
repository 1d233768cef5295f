"""The questions of a capacity planner, each answered with a figure, its proof, what binds, and a table for a chart."""

from drs.capacity.answer import Answer
from drs.capacity.buy import buy
from drs.capacity.how_many import how_many
from drs.capacity.leave import leave
from drs.capacity.ratio import ratio
from drs.capacity.survives import survives
from drs.capacity.weekend import weekend
from drs.capacity.when_full import when_full

__all__ = ["Answer", "buy", "how_many", "leave", "ratio", "survives", "weekend", "when_full"]
