"""Where everything is: what a placement makes of a snapshot."""

from __future__ import annotations

import numpy as np
import pandas as pd

import drs
from drs.model import Placement


def test_a_disk_that_was_nowhere_takes_room_where_it_comes_and_gives_none_elsewhere() -> None:
    tables = {
        "hosts": pd.DataFrame({"host": ["a"], "cpu_mhz": 1e4, "memory_mib": 1e4}),
        "vms": pd.DataFrame({"vm": ["x", "y"], "host": "a", "memory_mib": 100.0, "cpu_demand_mhz": 10.0}),
        "datastores": pd.DataFrame({"datastore": ["d1", "d2"], "capacity_gib": 100.0, "free_gib": 50.0}),
        "disks": pd.DataFrame({"vm": ["x", "y"], "disk": "d", "datastore": "d1", "size_gib": 10.0}),
    }
    snapshot = drs.read(tables)
    nowhere = Placement(snapshot.vms.host_idx, np.array([-1, 0])).apply(snapshot)
    assert nowhere.datastores.free_gib.tolist() == [60.0, 50.0]
    there = Placement(snapshot.vms.host_idx, np.array([1, 0])).apply(nowhere)
    assert there.datastores.free_gib.tolist() == [60.0, 40.0]
