"""What a cell says: yes and no, power states, EVC baselines, lists of names."""

from __future__ import annotations

import re

from drs.model.cpu import BASELINES


def is_true(value: object) -> bool:
    """Whether a cell says yes, in the languages that a spreadsheet writes it in.

    Parameters
    ----------
    value : object
        The cell.
    """
    return value is True or str(value).casefold() in ("true", "yes", "1", "wahr", "vrai", "verdadero")


def power(state: object) -> str | None:
    """`on` or `off`; a suspended VM is off, and what is unknown stays, for `build` to find fault with.

    Parameters
    ----------
    state : object
        The cell.
    """
    if state is None:
        return None
    folded = str(state).casefold().replace(" ", "")
    return {"poweredon": "on", "poweredoff": "off", "suspended": "off"}.get(folded, str(state))


def is_suspended(state: object) -> bool:
    """Whether a power state is that of a suspended VM.

    Parameters
    ----------
    state : object
        The cell.
    """
    return str(state).casefold() == "suspended"


def vendor(model: object) -> str | None:
    """The maker of a CPU by its model; None where it does not say.

    Parameters
    ----------
    model : object
        The cell.
    """
    text = str(model).casefold()
    if "intel" in text or "xeon" in text:
        return "intel"
    return "amd" if "amd" in text or "epyc" in text else None


def evc(value: object) -> str | None:
    """VMware's key of a baseline, from the key or from the label that vCenter shows.

    Parameters
    ----------
    value : object
        The cell.

    >>> evc('Intel® "Broadwell" Generation'), evc("intel-haswell"), evc("N/A")
    ('intel-broadwell', 'intel-haswell', None)
    """
    if value is None or str(value).casefold() in ("", "none", "n/a", "na", "-", "disabled"):
        return None
    text = str(value).strip()
    if text.casefold() in BASELINES:
        return text.casefold()

    def plain(label: str) -> str:
        return re.sub(r"[^a-z0-9]", "", re.sub(r"\(r\)|\(tm\)|®|™|generation", "", label.casefold()))

    labels = {plain(baseline.label): key for key, baseline in BASELINES.items()}
    return labels.get(plain(text), text)


def datastore(path: object) -> str | None:
    """The datastore of a path such as `[ds 1] web/web.vmdk`.

    Parameters
    ----------
    path : object
        The cell.
    """
    found = re.match(r"\[([^\]]+)\]", str(path)) if path is not None else None
    return found.group(1).strip() if found else None


def listed(cell: object) -> list[str]:
    """Names in a cell, separated by commas or semicolons.

    Parameters
    ----------
    cell : object
        The cell.
    """
    if cell is None or isinstance(cell, int | float):
        return []
    return [name.strip() for name in re.split(r"[,;\n]", str(cell)) if name.strip()]
