"""`drs capacity`: the questions of a capacity planner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drs.cli import base, inputs
from drs.cli.inputs import AsJson, Clusters, Iterations, PolicyFile, RulesFile, Seed, Source, _duration_s
from drs.errors import Fault, InputError, did_you_mean

if TYPE_CHECKING:
    from drs.capacity import Answer

QUESTIONS = ("when-full", "how-many", "survives", "weekend", "buy", "ratio", "leave")


@base.app.command()
@base.reporting
def capacity(
    source: Source,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help=f"One of {', '.join(QUESTIONS)}.")],
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="FILE", help="Hosts to buy: [model.NAME] tables with a price."),
    ] = None,
    cluster: Clusters = None,
    failures: Annotated[
        int, typer.Option("--failures", min=0, help="N+k: so many host failures are survived.")
    ] = 1,
    headroom: Annotated[
        float, typer.Option("--headroom", min=0, max=0.9, help="So much of each host stays free, as a ratio.")
    ] = 0.0,
    growth: Annotated[
        float | None,
        typer.Option("--growth", metavar="PERCENT", help="A month; fitted to the history if not given."),
    ] = None,
    months: Annotated[int, typer.Option("--months", min=0, help="So many months to come.")] = 60,
    percentile: Annotated[
        float | None,
        typer.Option("--percentile", min=0, max=100, help="how-many: CPU of each VM's own history."),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="how-many: one target for all clusters.")
    ] = False,
    restarted: Annotated[
        bool, typer.Option("--restarted", help="how-many: VMs are powered on anew, so EVC does not count.")
    ] = False,
    window: Annotated[str, typer.Option("--window", metavar="TIME", help="weekend: its length.")] = "48h",
    service: Annotated[
        str,
        typer.Option("--service", metavar="TIME", help="weekend, leave: of each host."),
    ] = "1h",
    swing_hosts: Annotated[
        int, typer.Option("--swing-hosts", min=1, help="leave: empty hosts at the start.")
    ] = 1,
    to: Annotated[
        str, typer.Option("--to", metavar="esxi|kvm|xen", help="leave: the new hypervisor.")
    ] = "kvm",
    policy: PolicyFile = None,
    rules: RulesFile = None,
    iterations: Iterations = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="The table behind it as .parquet or .csv.")
    ] = None,
    chart: Annotated[Path | None, typer.Option("--chart", help="The chart as .html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sizing, growth, failures, maintenance, purchases: a figure, its proof and what binds."""
    from drs import capacity as ask

    if question not in QUESTIONS:
        raise InputError(
            Fault(
                "question",
                repr(question),
                f"one of {', '.join(QUESTIONS)}",
                did_you_mean(question, QUESTIONS),
            )
        )
    if to not in ("esxi", "kvm", "xen"):
        raise InputError(Fault("to", repr(to), "esxi, kvm or xen"))
    facts, own_rules, own_policy = inputs.read(source, rules, policy, check=inputs.clusters_known(cluster))
    named, catalogue = tuple(cluster or ()), _models(models)
    one = named[0] if named else ""
    window_s, service_s = _duration_s(window), _duration_s(service)
    steps = 2000 if iterations is None else iterations
    given: dict[str, Any] = {"rules": own_rules}
    posed = {**given, "policy": own_policy}
    calls: dict[str, Callable[[], Answer]] = {
        "how-many": lambda: ask.how_many(facts, catalogue, cluster=named, failures=failures, headroom_ratio=headroom,
                                         percentile=percentile, together=together, restarted=restarted, **given),
        "when-full": lambda: ask.when_full(facts, cluster=named, growth_percent=growth, failures=failures,
                                           headroom_ratio=headroom, most_months=months, seed=seed),
        "survives": lambda: ask.survives(facts, cluster=named, failures=max(failures, 1) + 1, every=max(1, months // 6),
                                         growth_percent=growth or 0.0, months=months if growth else 0, **posed),
        "weekend": lambda: ask.weekend(facts, cluster=one, window_s=window_s, service_s=service_s, iterations=steps,
                                       seed=seed, **posed),
        "buy": lambda: ask.buy(facts, cluster=named, failures=failures,
                               model=next(iter(catalogue.values()), None) if catalogue else None, **posed),
        "ratio": lambda: ask.ratio(facts, cluster=one, failures=failures, iterations=steps, seed=seed, **posed),
        "leave": lambda: ask.leave(facts, cluster=named, to=to, swing_hosts=swing_hosts, reinstall_s=service_s,
                                   headroom_ratio=headroom, **given),
    }  # fmt: skip
    answer = calls[question]()
    _write(answer, out, chart)
    if as_json:
        base.print_json(answer.document())
        return
    from drs.report import text

    text.print_table(base.out_console(), answer.table, question)
    for line in answer.sentences():
        base.say(line)


def _models(path: Path | None) -> dict[str, dict[str, Any]] | None:
    if path is None:
        return None
    from drs import io

    document = io.read_toml(path)
    found = document.get("model")
    if not isinstance(found, dict) or not found:
        raise InputError(Fault(str(path), "no [model.NAME] table", "one for each host that can be bought",
                               did_you_mean("model", document)))  # fmt: skip
    return found


def _write(answer: Answer, out: Path | None, chart: Path | None) -> None:
    if out is not None:
        from drs.io.table_file import check_table_path, write_table

        check_table_path(out)
        write_table(answer.table, out)
    if chart is not None:
        if chart.suffix != ".html":
            raise InputError(Fault("chart", repr(chart.name), "a name that ends in .html"))
        from drs import plotting
        from drs.io.atomic import atomic_file

        figure = plotting.answer(answer.question, answer.rows)
        with atomic_file(chart) as new:
            new.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")
