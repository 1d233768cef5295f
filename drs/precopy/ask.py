"""The arguments of a price: their names, their checks, their shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import InputError
from drs.precopy.dirty import DirtyModel
from drs.precopy.inputs import Checker
from drs.precopy.kinds import KINDS, Kind
from drs.precopy.path import congestion_codes
from drs.precopy.profiles import Profile, profile

if TYPE_CHECKING:
    from pathlib import Path


class Ask(TypedDict, total=False):
    """The arguments of `estimate`, `Transfer.start` and the curves; `estimate` says what each means."""

    memory_mib: ArrayLike
    bandwidth_mbps: ArrayLike
    dirty_rate_mibps: ArrayLike | None
    working_set_mib: ArrayLike | None
    dirtied_1s_mib: ArrayLike | None
    dirtied_10s_mib: ArrayLike | None
    dirty: DirtyModel | None
    zero_ratio: ArrayLike
    vgpu_mib: ArrayLike
    vcpus: ArrayLike
    rtt_ms: ArrayLike
    loss_ratio: ArrayLike
    mtu_bytes: ArrayLike | None
    congestion_control: str | ArrayLike | None
    streams: ArrayLike | None
    window_mib: ArrayLike | None
    link_ratio: ArrayLike | None
    sender_mbps: ArrayLike | None
    host_load_ratio: ArrayLike
    rate_limit_mbps: ArrayLike | None
    encrypted: ArrayLike
    compression_ratio: ArrayLike
    resend_ratio: ArrayLike
    downtime_limit_ms: ArrayLike | None
    timeout_s: ArrayLike | None
    throttle: bool | None
    post_copy_after: ArrayLike | None
    post_copy_after_s: ArrayLike | None
    disk_gib: ArrayLike
    disk_used_gib: ArrayLike | None
    disk_write_mibps: ArrayLike
    datastore_mibps: ArrayLike | None
    profile: str | Path | Profile
    kind: str


SAMPLES = ("dirtied_1s_mib", "dirtied_10s_mib")
"""Two samples of the dirty curve, given together."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Arguments that passed every check.

    `numbers` holds each numeric argument by name, scalar or flattened to (n,); a `dirty` model with an array
    of migrations is flattened likewise.
    """

    shape: tuple[int, ...]
    profile: Profile
    kind: Kind
    numbers: dict[str, NDArray[Any]]
    dirty: DirtyModel
    throttle: str

    @property
    def n(self) -> int:
        """Number of migrations."""
        return int(np.prod(self.shape, dtype=np.int64))

    def block(self, part: slice) -> Checked:
        """The migrations `part` of the flattened array."""
        numbers = {name: array[part] if array.ndim else array for name, array in self.numbers.items()}
        n = len(range(*part.indices(self.n)))
        return Checked((n,), self.profile, self.kind, numbers, self.dirty.part(part), self.throttle)


def read(ask: Ask) -> Checked:
    """Check the arguments.

    Raises
    ------
    InputError
        With every fault.
    """
    which = profile(ask.get("profile", "vmware"))
    check = Checker()
    kind_name = ask.get("kind", "vmotion")
    if kind_name not in KINDS:
        check.fault("kind", repr(kind_name), "one of " + ", ".join(KINDS))
    kind = KINDS.get(kind_name, KINDS["vmotion"])
    numbers: dict[str, NDArray[Any]] = {}

    def get(name: str, default: float | None = None, **limits: Any) -> None:
        value = ask.get(name)
        if value is None and default is not None:
            numbers[name] = np.asarray(default)
        else:
            numbers[name] = check.number(name, value, **limits)

    # The upper bounds catch mixed units: no VM has 256 TiB, no path carries 10 Tbit/s.
    positive = {"low": 0.0, "above": True}
    share_of_one = {"low": 0.0, "above": True, "high": 1.0, "hint": "bytes after / bytes before"}
    get("memory_mib", **positive, high=2.0**28, hint="bytes or KiB instead of MiB?")
    get("bandwidth_mbps", **positive, high=1e7, hint="bit/s instead of Mbit/s?")
    get("zero_ratio", 0.0, low=0.0, high=1.0, hint="a percentage instead of a ratio?")
    get("vgpu_mib", 0.0, low=0.0, high=2.0**28, hint="bytes or KiB instead of MiB?")
    get("vcpus", 1.0, low=0.0, high=1e5)
    get("rtt_ms", 0.0, low=0.0, high=60_000.0, hint="microseconds instead of milliseconds?")
    get("loss_ratio", 0.0, low=0.0, high=1.0, hint="a percentage instead of a ratio?")
    get("mtu_bytes", which.mtu_bytes, low=576.0, high=65_536.0, hint="KiB instead of bytes?")
    get("streams", np.nan, low=1.0, high=1024.0)
    get("window_mib", which.window_mib, **positive)
    get("link_ratio", which.link_ratio, **positive, high=1.0)
    get("sender_mbps", np.inf, **positive, infinite=True)
    get("host_load_ratio", 0.0, low=0.0, high=1000.0, hint="a percentage instead of a ratio?")
    get("rate_limit_mbps", which.rate_limit_mbps, **positive, infinite=True)
    get("compression_ratio", 1.0, **share_of_one)
    get("resend_ratio", 1.0, **share_of_one)
    get("downtime_limit_ms", which.switch_ms, **positive, high=3.6e6, hint="microseconds?")
    get("timeout_s", which.timeout_s, **positive, infinite=True)
    get("post_copy_after", np.inf, low=0.0, infinite=True)
    get("post_copy_after_s", np.inf, low=0.0, infinite=True)
    get("disk_gib", 0.0, low=0.0, high=2.0**24, hint="MiB or bytes instead of GiB?")
    get("disk_used_gib", np.inf, low=0.0, infinite=True)
    get("disk_write_mibps", 0.0, low=0.0)
    get("datastore_mibps", np.inf, **positive, infinite=True)
    get("dirty_rate_mibps", 0.0, low=0.0, high=2.0**24, hint="pages or bytes instead of MiB?")
    get("working_set_mib", np.inf, low=0.0, infinite=True)
    samples = [ask.get(name) for name in SAMPLES]
    if samples[0] is not None or samples[1] is not None:
        for name in SAMPLES:
            get(name, low=0.0, high=2.0**28, hint="pages or bytes instead of MiB?")
    if ask.get("timeout_s") is None and np.isfinite(which.timeout_per_gib_s):
        # As long as the VM is large: what is counted is memory and disks that move.
        gib = numbers["memory_mib"] / 1024.0 * kind.memory + numbers["disk_gib"] * kind.disk
        numbers["timeout_s"] = np.minimum(which.timeout_s, np.maximum(gib, 1.0) * which.timeout_per_gib_s)
    numbers["encrypted"] = np.asarray(ask.get("encrypted", False), dtype=bool)
    try:
        numbers["congestion_control"] = congestion_codes(ask.get("congestion_control"), which)
    except InputError as error:
        check.faults += error.faults
    dirty = ask.get("dirty")
    shapes = [array.shape for array in numbers.values()]
    if dirty is not None:
        if any(ask.get(name) is not None for name in ("dirty_rate_mibps", "working_set_mib", *SAMPLES)):
            check.fault("dirty", "both a model and the numbers that make one", "either of them")
        shapes.append(dirty.shape)
    elif SAMPLES[0] in numbers and ask.get("dirty_rate_mibps") is not None:
        check.fault("dirty_rate_mibps", "given beside dirtied_1s_mib", "either of them: both say the same")
    shape: tuple[int, ...] = ()
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        sizes = ", ".join(sorted({str(size) for size in shapes if size}))
        check.fault("arguments", f"arrays of shapes {sizes}", "shapes that broadcast together")
    for name in ("post_copy_after", "post_copy_after_s"):
        if ask.get(name) is not None and not which.post_copy:
            check.fault(name, "given", f"nothing: {which.title} has no post-copy")
    if not check.faults:
        _relations(check, numbers, dirty, needs_disk=kind.disk and kind.running and not kind.memory)
    check.done()

    if dirty is None:
        # Without a working set the rate is taken not to saturate below the whole memory.
        size = np.minimum(numbers["working_set_mib"], numbers["memory_mib"])
        if SAMPLES[0] in numbers:
            dirty = DirtyModel.two_samples(numbers[SAMPLES[0]], numbers[SAMPLES[1]], size)
        else:
            dirty = DirtyModel.two_numbers(numbers["dirty_rate_mibps"], size)
    flat = {
        name: np.broadcast_to(array, shape).reshape(-1) if array.ndim else array
        for name, array in numbers.items()
    }
    throttle = which.throttle
    if ask.get("throttle") is not None:
        throttle = (throttle if throttle != "none" else "auto-converge") if ask["throttle"] else "none"
    return Checked(shape, which, kind, flat, dirty.spread(shape), throttle)


def _relations(
    check: Checker, numbers: dict[str, NDArray[Any]], dirty: DirtyModel | None, *, needs_disk: bool
) -> None:
    """What must hold between arguments."""
    size, name = numbers["working_set_mib"], "working_set_mib"
    if dirty is not None:
        size, name = dirty.size_mib.sum(axis=-1), "dirty"
    size, memory = np.broadcast_arrays(size, numbers["memory_mib"])
    check.each(name, size, np.isfinite(size) & (size > memory * (1 + 1e-9)), "at most memory_mib")
    if SAMPLES[0] in numbers:
        one, ten, most = np.broadcast_arrays(*(numbers[name] for name in SAMPLES), numbers["memory_mib"])
        check.each(SAMPLES[1], ten, ten < one, "at least dirtied_1s_mib")
        check.each(SAMPLES[1], ten, ten > 10.0 * one * (1 + 1e-9), "at most ten times dirtied_1s_mib")
        check.each(SAMPLES[1], ten, ten > most * (1 + 1e-9), "at most memory_mib")
    used, disk = np.broadcast_arrays(numbers["disk_used_gib"], numbers["disk_gib"])
    check.each("disk_used_gib", used, np.isfinite(used) & (used > disk), "at most disk_gib")
    if needs_disk:
        check.each("disk_gib", disk, disk <= 0, "above 0 for a Storage vMotion")
