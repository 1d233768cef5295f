"""Charts of what a plan achieves: goals before and after with their bounds, and the Pareto frontier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drs.plotting.style import AFTER, BEFORE, DARK, GOOD, INK, empty_figure, finish, plain
from drs.result import GoalScore
from drs.words import goal_title, number, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go


def goal_scores(goals: Sequence[GoalScore]) -> go.Figure:
    """Each goal before and after, with the bound that no placement can beat; a panel a goal.

    Parameters
    ----------
    goals : of a result, in their order.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if not goals:
        return empty_figure("No goals")
    titles = [
        f"{plain(goal_title(goal.name))}<br><span style='font-size:11px'>{plain(goal.unit)}</span>"
        for goal in goals
    ]
    figure = make_subplots(
        rows=1, cols=len(goals), subplot_titles=titles, horizontal_spacing=0.5 / (len(goals) + 3)
    )
    for column, goal in enumerate(goals, start=1):
        figure.add_trace(
            go.Bar(
                x=["before", "after"],
                y=[goal.before, goal.after],
                width=0.55,
                marker={"color": [BEFORE, AFTER], "line": {"width": 0}},
                text=[number(goal.before), number(goal.after)],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{x}: %{y:.6g}<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        if math.isfinite(goal.bound):
            gap = "proven best" if goal.gap_ratio == 0 else f"gap {percent(goal.gap_ratio, 1)}"
            figure.add_trace(
                go.Scatter(
                    x=["after"],
                    y=[goal.bound],
                    mode="markers",
                    name="bound",
                    legendgroup="bound",
                    showlegend=column == 1,
                    marker={"symbol": "line-ew", "size": 46, "line": {"width": 3, "color": GOOD}},
                    hovertemplate=f"bound %{{y:.6g}}, {gap}<extra></extra>",
                ),
                row=1,
                col=column,
            )
        high = max(goal.before, goal.after, goal.bound if math.isfinite(goal.bound) else 0.0)
        low = min(0.0, goal.before, goal.after)
        figure.update_yaxes(range=[low, high + 0.18 * ((high - low) or 1.0)], row=1, col=column)
    figure = finish(figure, "Goals before and after", height=330)
    figure.update_layout(margin={"t": 96}, legend={"y": 1.22})
    figure.update_annotations(font={"size": 12, "color": INK})
    return figure


def frontier(
    cost: Sequence[float],
    value: Sequence[float],
    bound: Sequence[float] | None = None,
    *,
    knee: int | None = None,
    labels: Sequence[str] | None = None,
    cost_title: str = "migration cost",
    value_title: str = "imbalance",
    chosen: int | None = None,
) -> go.Figure:
    """The trade between what moving costs and what it gains, as non-dominated plans.

    Parameters
    ----------
    cost, value : of each plan, both the less the better.
    bound : the least value that any plan of that cost can have.
    knee : position of the plan beyond which a further gain becomes dear.
    labels : words for each plan's tooltip.
    chosen : position of a plan to ring.
    """
    import plotly.graph_objects as go

    if not len(cost):
        return empty_figure("No plans")
    figure = go.Figure()
    order = sorted(range(len(cost)), key=lambda i: cost[i])
    if bound is not None and any(math.isfinite(bound[i]) for i in order):
        figure.add_scatter(
            x=[cost[i] for i in order],
            y=[bound[i] if math.isfinite(bound[i]) else None for i in order],
            mode="lines",
            name="bound",
            line={"color": GOOD, "dash": "dot", "width": 1.6},
            hovertemplate="no plan of this cost is below %{y:.4g}<extra></extra>",
        )
    words = [plain(labels[i]) if labels else f"plan {i}" for i in order]
    figure.add_scatter(
        x=[cost[i] for i in order],
        y=[value[i] for i in order],
        mode="lines+markers",
        name="plans",
        line={"color": AFTER, "width": 2, "shape": "hv"},
        marker={"size": 9, "color": AFTER},
        customdata=words,
        hovertemplate="<b>%{customdata}</b><br>cost %{x:.4g}, "
        + plain(value_title)
        + " %{y:.4g}<extra></extra>",
    )
    if knee is not None:
        figure.add_scatter(
            x=[cost[knee]],
            y=[value[knee]],
            mode="markers+text",
            name="knee",
            text=["knee"],
            textposition="top right",
            marker={"size": 16, "symbol": "star", "color": DARK},
            hovertemplate="beyond here a further gain becomes dear<extra>knee</extra>",
        )
    if chosen is not None:
        figure.add_scatter(
            x=[cost[chosen]],
            y=[value[chosen]],
            mode="markers",
            name="chosen",
            marker={"size": 22, "symbol": "circle-open", "color": INK, "line": {"width": 2}},
            hoverinfo="skip",
        )
    figure.update_xaxes(title=plain(cost_title), rangemode="tozero")
    figure.update_yaxes(title=plain(value_title), rangemode="tozero")
    return finish(figure, "What balance costs", height=440)


__all__ = ["frontier", "goal_scores"]
