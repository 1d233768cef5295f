"""Platforms by the address that people give."""

from __future__ import annotations

from drs.errors import Fault, InputError
from drs.execute.platform import Platform
from drs.io.readers.vcenter_login import Login, parse_address


def open_platform(address: str, login: Login) -> Platform:
    """The platform behind an address, logged in.

    Raises
    ------
    InputError : for an address of no platform, and where it cannot be reached.
    """
    vcenter = parse_address(address)
    if vcenter is None:
        raise InputError(Fault("to", repr(address), "vcenter://[user@]host[:port]"))
    from drs.execute.vcenter import VCenter

    return VCenter(vcenter, login)
