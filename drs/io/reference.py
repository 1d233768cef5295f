"""The page `docs/snapshot-format.md`, made of `columns.csv`.

`python -c "from drs.io.reference import write; write('docs/snapshot-format.md')"` brings it up to date; a
test fails when it is not.
"""

from __future__ import annotations

from pathlib import Path

from drs.io.atomic import write_text_atomic
from drs.io.columns import TABLES_REQUIRED, Column, columns

TABLES = {
    "hosts": "One row for each host.",
    "clusters": "Settings of clusters. A cluster that only `hosts` names has the defaults.",
    "pools": "Resource pools: a tree below each cluster. CPU and memory are divided from the top down: "
    "reservations first, then by shares, up to the limits (`drs check` shows what each pool is entitled to).",
    "vms": "One row for each VM.",
    "disks": "Virtual disks; without this table nothing is known of them and they do not move.",
    "datastores": "Needed where there are disks or mounts.",
    "mounts": "Which host sees which datastore. Without this table every host of a cluster sees every "
    "datastore; with a header alone no host sees any.",
    "portgroups": "Which host offers which network. Without this table every host of a cluster has every "
    "network.",
    "nics": "Which VM is connected to which network: one row, however many virtual NICs do so.",
    "links": "The network between the hosts: each link once, in either direction. Nodes are hosts and any "
    "other names (switches, routers). A host that no link names is plugged into one non-blocking switch of "
    "its site, and that switch bears the name of the site.",
    "loads": "A load history, for percentiles, time buckets and replay. VMs need not have the same times.",
}

HEAD = """\
# The snapshot format

<!-- Made of drs/io/columns.csv by drs.io.reference: change it there. -->

A snapshot is a folder with a file for each table: CSV (UTF-8, with or without byte order mark, a header
row, commas between the cells, points in the numbers) or Parquet (`vms.parquet`). Only `hosts` and `vms`
are required, and of each table only the columns that are marked so; their order does not matter. A table
is there in one of the two formats.

- An **empty cell** means "not given" and takes the default, as an absent column does.
- A **unit** is the one in the name of the column: `_mhz` (cores × clock), `_mib` and `_gib` (2²⁰ and 2³⁰
  bytes), `_mbps` (10⁶ bit/s), `_mibps`, `_s`, `_ms`, `_w`, `_ratio` (a fraction of one). Numbers stand
  alone in their cell.
- A **name** has no blanks around it and no line breaks in it; case counts.
- An **unknown column** is a warning, with the name that it may have been meant for.
- **Everything else that is wrong** is an error, and all errors of all files are told together:

```text
hosts.csv, row 1 (esx-01), field memory_mib: '128 GiB'; expected a number above 0, in MiB (the number \
alone: the unit is the one of the column)
vms.csv, row 17 (web-03), field host: unknown host 'esx-1l'; expected a host of the table hosts (did \
you mean esx-11?)
```

Row 1 is the first row below the header. Besides cells that cannot be read these are errors: a key that
stands there twice, a name that no table has, a VM that is larger than every host, a reservation above its
limit or above what is configured, pools in a circle, a pool that has less than what is reserved below it, a
VM's reservation that its pool cannot grant, a cluster of which its pools and running VMs reserve more than
all its hosts have, a VM in a pool of another cluster, `used_gib` above `size_gib`,
`free_gib` above `capacity_gib`, all of a host reserved for its hypervisor, a host that does not support the
EVC mode of its cluster, a link from a node to itself or with more traffic than bandwidth, and a
`<name>_demand` that no host has a `<name>_capacity` for.
"""

TAIL = """\
## snapshot.toml

Optional: `name` (the folder's where it is not given), `taken_at` (ISO 8601), `description`, `source`.
They describe the snapshot and do not count for its digest.

`[provenance]` says where the demand of the VMs comes from: `cpu_demand` and `memory_demand` are `measured`,
`estimated` (from figures of the hosts), `configured` or `missing` (it counts as 0), `note` says how. Where it
is not given, running VMs that all ask for 0 MHz have no CPU figures, and VMs without active and consumed
memory have what is configured. `drs check`, `drs advise`, the report and the app repeat it.

```toml
name = "prod"
taken_at = "2026-01-31T14:05:00Z"

[provenance]
cpu_demand = "estimated"
memory_demand = "measured"
note = "the CPU usage of each host is spread over its running VMs by their vCPUs"
```

## Beside the tables

`rules.toml` and `policy.toml` in the folder are read by the commands unless `--rules` and `--policy` name
others. Writing a snapshot over another replaces the tables and keeps every other file. `--out FOLDER` notes
the files that it writes in `FOLDER/.drs-files`. It replaces those, keeps every other file, and refuses a folder that
holds something and has no such note. It happens whole
or not at all, and a folder that holds something else is never replaced.
"""


def snapshot_format() -> str:
    """The page as Markdown.

    Returns
    -------
    str
        One section for each table, one row for each column.
    """
    parts = [HEAD]
    for table, meaning in TABLES.items():
        own = [column for column in columns() if column.table == table]
        key = ", ".join(f"`{column.column}`" for column in own if column.key)
        needed = "Required. " if table in TABLES_REQUIRED else ""
        parts.append(f"## {table}\n\n{needed}{meaning} Key: {key}.\n")
        rows = ["| column | type | default | meaning |", "|---|---|---|---|"]
        rows += [
            f"| {_name(column)} | {_kind(column)} | {_default(column)} | {column.meaning} |" for column in own
        ]
        parts.append("\n".join(rows) + "\n")
    return "\n".join([*parts, TAIL])


def _name(column: Column) -> str:
    return f"**`{column.column}`**" if column.required else f"`{column.column}`"


def _kind(column: Column) -> str:
    if column.kind == "choice":
        return ", ".join(f"`{choice}`" for choice in column.choices)
    if column.numeric:
        what = "whole number" if column.kind == "integer" else "number"
        low, high, open_low = column.limits
        bounds = f"{low:g} to {high:g}" if ".." in column.bounds else f"{'>' if open_low else '≥'} {low:g}"
        return f"{what} {bounds}" + (f", {column.unit}" if column.unit else "")
    if column.refers_to:
        return f"name, of `{column.refers_to}`"
    return {"evc": "key of an EVC baseline", "time": "ISO 8601 time"}.get(column.kind, column.kind)


def _default(column: Column) -> str:
    if column.required == "yes":
        return "required"
    default = column.default.removeprefix("= ")
    if column.required == "column":
        return f"{default}; the column is required"
    return default


def write(path: str | Path) -> None:
    """Write the page.

    Parameters
    ----------
    path : str or Path
        `docs/snapshot-format.md`.
    """
    write_text_atomic(path, snapshot_format())
