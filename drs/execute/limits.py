"""How many moves may run at once: the limits that the schedule of the plan assumed, kept in flight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drs.model import Snapshot
from drs.model.network import Network
from drs.planning import Concurrency, Move
from drs.planning.pricing import Leg
from drs.planning.schedule.tasks import slot_limit, slots_of


class Limits:
    """What each move occupies while it runs, and what there is."""

    def __init__(self, snapshot: Snapshot, moves: Sequence[Move], concurrency: Concurrency) -> None:
        network = Network.of(snapshot)
        first, order = snapshot.disks_of_vm
        self.use: dict[int, Mapping[tuple[str, int], int]] = {}
        for move in moves:
            vm = snapshot.vms.position[move.vm]
            src, dst = snapshot.hosts.position[move.from_host], snapshot.hosts.position[move.to_host]
            own = order[first[vm] : first[vm + 1]].tolist()
            goes = [
                (disk, was, to)
                for disk, was, to in zip(own, move.from_datastores, move.to_datastores, strict=False)
                if was != to
            ]
            at = snapshot.datastores.position
            leg = Leg(
                vm,
                src,
                dst,
                tuple(disk for disk, _, _ in goes),
                tuple(at[to] for _, _, to in goes),
                from_datastores=tuple(at[was] for _, was, _ in goes),
            )
            self.use[move.step] = slots_of(snapshot, network, leg, move.kind, bool(goes), concurrency)
        self.limit = {
            key: slot_limit(snapshot, concurrency, *key) for use in self.use.values() for key in use
        }

    def allow(self, step: int, flying: Iterable[int]) -> bool:
        """Whether a move may start while those in flight run; one alone always may."""
        others = [self.use[other] for other in flying]
        if not others:
            return True
        return all(
            amount + sum(other.get(key, 0) for other in others) <= self.limit[key]
            for key, amount in self.use[step].items()
        )
