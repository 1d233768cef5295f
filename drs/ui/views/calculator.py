"""Migration calculator: what moving one VM over one path costs, in each of the five kinds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import streamlit as st

from drs import plotting, precopy, words
from drs.errors import DrsError
from drs.model.dirtying import dirtying
from drs.model.network import Network
from drs.ui.clusters import Cluster, words_of
from drs.ui.parts import chart, heading, md, show_faults, tiles
from drs.ui.state import MigrationAsk, filled, state, update
from drs.words import percent

MEMORY_GIB = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096)
BANDWIDTH_MBPS = (
    100,
    250,
    500,
    622,
    1_000,
    2_500,
    5_000,
    10_000,
    20_000,
    25_000,
    40_000,
    50_000,
    100_000,
    200_000,
)
KEYS = tuple(field.name for field in dataclasses.fields(MigrationAsk))


def _with(options: tuple[int, ...], value: float) -> list[float]:
    """The marks of a slider, with the exact figure of a VM or path among them; whole figures as such."""
    return sorted({*map(float, options), float(value)})


def from_cluster(cluster: Cluster) -> None:
    """Fill the sliders with the figures of a VM and the path to a host."""
    snapshot = cluster.snapshot
    if not snapshot.n_vms or not snapshot.n_hosts:
        return
    with st.expander(f"Take a VM of {md(cluster.label)}", icon=":material/input:"):
        left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
        vm = left.selectbox("VM", snapshot.vms.name.tolist(), key="calculator.vm")
        host = middle.selectbox("To host", snapshot.hosts.name.tolist(), key="calculator.host")
        right.button(
            "Fill in", key="calculator.fill", width="stretch", on_click=fill, args=(cluster, vm, host)
        )


def fill(cluster: Cluster, vm: str, host: str) -> None:
    """Set the sliders from a VM and a path."""
    snapshot = cluster.snapshot
    i, to = snapshot.vms.position[vm], snapshot.hosts.position[host]
    vms, here = snapshot.vms, int(snapshot.vms.host_idx[i])
    memory = float(vms.memory_mib[i])
    rate, working_set = (float(column[i]) for column in dirtying(vms))
    ask = dataclasses.replace(
        state().migration,
        memory_gib=max(1 / 1024, memory / 1024),
        dirty_rate_mibps=min(4000.0, rate),
        working_set_percent=min(100.0, max(0.1, 100 * working_set / max(memory, 1.0))),
    )
    mine = snapshot.disks.vm_idx == i
    if mine.any():
        ask = dataclasses.replace(
            ask,
            disk_gib=int(min(16_384, max(1, round(float(snapshot.disks.used_gib[mine].sum()))))),
            disk_write_mibps=int(min(500, round(float(snapshot.disks.write_mibps[mine].sum())))),
        )
    if here >= 0 and here != to:
        path = Network.of(snapshot).path(here, to)
        if path.reachable:
            ask = dataclasses.replace(
                ask,
                bandwidth_mbps=float(path.bandwidth_mbps),
                rtt_ms=min(200.0, float(path.rtt_ms)),
                loss_percent=min(5.0, 100 * path.loss_ratio),
            )
    update(migration=ask)
    for name in KEYS:
        st.session_state[f"calculator.{name}"] = getattr(ask, name)


def sliders() -> MigrationAsk:
    """The controls; returns what they say."""
    now = state().migration

    def key(name: str) -> str:
        return filled(f"calculator.{name}", getattr(now, name))

    st.markdown("##### The VM")
    memory_gib = st.select_slider(
        "Memory, GiB",
        _with(MEMORY_GIB, now.memory_gib),
        key=key("memory_gib"),
        format_func=lambda gib: f"{gib:,.6g}",
    )
    dirty = st.slider(
        "Dirty rate, MiB/s",
        0.0,
        4000.0,
        key=key("dirty_rate_mibps"),
        step=0.5,
        help="Distinct memory written within one second.",
    )
    working_set = st.slider(
        "Working set, % of memory",
        0.1,
        100.0,
        key=key("working_set_percent"),
        step=0.1,
        help="Where the dirtied memory stops to grow.",
    )
    zero = st.slider("Zero pages, %", 0, 95, key=key("zero_percent"))
    st.markdown("##### The path")
    bandwidth = st.select_slider(
        "Bandwidth",
        _with(BANDWIDTH_MBPS, now.bandwidth_mbps),
        key=key("bandwidth_mbps"),
        format_func=words.megabits,
    )
    rtt = st.slider("Round trip, ms", 0.0, 200.0, key=key("rtt_ms"), step=0.1)
    loss = st.slider("Packet loss, %", 0.0, 5.0, key=key("loss_percent"), step=0.01)
    encrypted = st.toggle("Encrypted", key=key("encrypted"))
    st.markdown("##### The disk")
    disk = st.number_input("Used, GiB", 0, 65_536, key=key("disk_gib"), step=10)
    write = st.slider("Guest writes, MiB/s", 0, 500, key=key("disk_write_mibps"))
    datastore = st.slider("Datastore carries, MiB/s", 10, 4000, key=key("datastore_mibps"), step=10)
    st.markdown("##### The hypervisor")
    known = precopy.profiles()
    profile = st.selectbox(
        "Profile", list(known), key=key("profile"), format_func=lambda name: known[name].title or name
    )
    limit = st.number_input(
        "Downtime goal, ms",
        1,
        60_000,
        key=key("downtime_limit_ms"),
        step=50,
        placeholder=f"{known[str(profile)].switch_ms:g} (the profile's)",
    )
    return MigrationAsk(
        memory_gib=float(memory_gib),
        dirty_rate_mibps=float(dirty),
        working_set_percent=float(working_set),
        zero_percent=int(zero),
        bandwidth_mbps=float(bandwidth),
        rtt_ms=float(rtt),
        loss_percent=float(loss),
        disk_gib=int(disk or 0),
        disk_write_mibps=int(write),
        datastore_mibps=int(datastore),
        profile=str(profile),
        downtime_limit_ms=limit,
        encrypted=bool(encrypted),
    )


def answer(ask: MigrationAsk) -> None:
    """What it costs."""
    arguments: Any = ask.arguments()
    price = precopy.estimate(**arguments)
    if not price.possible:
        st.error(md(f"A live migration is not possible: {price.advice}."), icon=":material/block:")
    elif not price.converged:
        st.warning(md(f"{str(price.advice)[:1].upper()}{str(price.advice)[1:]}."), icon=":material/warning:")
    elif price.borderline:
        st.info(
            md(str(price.advice) or "Bandwidth and dirty rate are too close to be sure that it converges."),
            icon=":material/info:",
        )
    elif price.slowdown_ratio > 0:
        st.caption(
            f"The guest is slowed by up to {percent(float(price.slowdown_ratio))} while its memory is sent."
        )
    low, high = float(price.downtime_low_ms), float(price.downtime_high_ms)
    span = None if math.isnan(low) else _between(words.milliseconds(low), words.milliseconds(high))
    total_low, total_high = float(price.total_low_s), float(price.total_high_s)
    total = None if math.isnan(total_low) else _between(words.seconds(total_low), words.seconds(total_high))
    tiles(
        [
            ("Total time", words.seconds(float(price.total_s)), total),
            ("Downtime", words.milliseconds(float(price.downtime_ms)), span),
            (
                "Data sent",
                words.mebibytes(float(price.transferred_mib)),
                words.count(int(price.rounds), "round"),
            ),
            (
                "Path carries",
                words.megabits(float(price.bandwidth_mbps)),
                f"of {words.megabits(ask.bandwidth_mbps)}",
            ),
        ]
    )
    kinds: dict[str, Any] = ask.with_disk("vmotion")
    chart(plotting.five_kinds(precopy.side_by_side(**kinds)), "calculator.kinds")
    st.caption(
        "Below total time and downtime: the interval that holds in 80 % of migrations. Shaded in the curves."
    )
    left, right = st.columns(2)
    with left:
        chart(plotting.downtime_curve(plotting.curve(arguments, "bandwidth_mbps")), "calculator.bandwidth")
    with right:
        chart(plotting.downtime_curve(plotting.curve(arguments, "dirty_rate_mibps")), "calculator.dirty")
    chart(plotting.rounds(precopy.rounds(**arguments)), "calculator.rounds")


def _between(low: str, high: str) -> str:
    """An interval, its unit once where both ends have it."""
    (first, unit), (_, other) = low.rsplit(" ", 1), high.rsplit(" ", 1)
    return f"{first if unit == other else low} to {high}"


def page() -> None:
    """Draw the page."""
    heading("Migration calculator", "Duration, rounds and downtime of one migration, before you start it.")
    cluster = state().cluster
    if cluster is not None:
        from_cluster(cluster)
    controls, shown = st.columns([1, 3.2], gap="large")
    with controls:
        ask = sliders()
    update(migration=ask)
    with shown:
        try:
            answer(ask)
        except DrsError as error:
            show_faults("This has no price", words_of(error))


if __name__ == "__main__":
    page()
