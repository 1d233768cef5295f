"""A session with a vCenter: whose credentials, which certificate, and a connection that ends.

TLS is verified: by the system's authorities, by a file of authorities, or by the fingerprint of the one certificate
that is expected. Only `insecure` turns that off. The password is in no message, no representation and no error.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError

INSTALL = "pip install 'drs-optimizer[vcenter]'"
USER, PASSWORD = "DRS_VCENTER_USER", "DRS_VCENTER_PASSWORD"
SCHEME = "vcenter://"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Address:
    """Where a vCenter answers: `host`, `port` (443 as a rule), `user` ("" where the address does not say)."""

    host: str
    port: int
    user: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.host}" + ("" if self.port == 443 else f":{self.port}")


@dataclass(frozen=True)
class Login:
    """Who asks, and how the server proves that it is the one.

    user, password : where empty, the address's user, then the environment's `DRS_VCENTER_USER` and
        `DRS_VCENTER_PASSWORD`.
    ca_file : certificates of authorities in place of the system's.
    thumbprint : SHA-256 fingerprint of the server's certificate, with or without colons; no other is accepted.
    insecure : any certificate will do.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    thumbprint: str = ""
    insecure: bool = False


def is_address(source: str) -> bool:
    """Whether it is meant as the address of a vCenter."""
    return source.casefold().startswith(SCHEME)


def parse_address(source: str) -> Address | None:
    """The vCenter that `vcenter://[user@]host[:port]` means; None for what does not begin with `vcenter://`.

    Raises
    ------
    InputError : for an address that cannot be read, and for one with a password in it; neither is repeated.

    >>> parse_address("vcenter://admin@vsphere.local@vc01.example.org")
    Address(host='vc01.example.org', port=443, user='admin@vsphere.local')
    """
    if not is_address(source):
        return None
    expected = "vcenter://[user@]host[:port]"
    found = re.fullmatch(r"(?:(.+)@)?([^@/:]+)(?::(\d+))?/?", source[len(SCHEME) :])
    if found is None:
        raise InputError(Fault("vCenter", "an address that cannot be read", expected))
    user, host, port = found.groups()
    if ":" in (user or ""):
        raise InputError(
            Fault(
                f"{SCHEME}{host}",
                "a password in the address",
                expected,
                f"put it into a file or into {PASSWORD}",
            )
        )
    return Address(host, int(port or 443), user or "")


def _context(address: Address, login: Login) -> ssl.SSLContext:
    """The TLS context that accepts what was asked for."""
    if login.insecure:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    if not login.thumbprint:
        if login.ca_file is not None and not login.ca_file.is_file():
            raise InputError(Fault("ca_file", f"no file {login.ca_file}", "a file of PEM certificates"))
        try:
            return ssl.create_default_context(cafile=login.ca_file)
        except ssl.SSLError:
            raise InputError(Fault("ca_file", f"{login.ca_file} holds none", "PEM certificates")) from None
    wanted = re.sub(r"[^0-9a-f]", "", login.thumbprint.casefold().removeprefix("sha256"))
    if len(wanted) != 64:
        raise InputError(
            Fault("thumbprint", f"{len(wanted)} hexadecimal digits", "the 64 of a SHA-256 fingerprint")
        )
    pem = ssl.get_server_certificate((address.host, address.port), timeout=TIMEOUT_S)
    found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    if found != wanted:
        shown = ":".join(found[i : i + 2] for i in range(0, 64, 2))
        raise InputError(Fault(str(address), f"its certificate has the thumbprint {shown}", login.thumbprint))
    # This very certificate is the only authority, whoever signed it: there is no gap between look and use.
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def open_session(address: Address, login: Login) -> Any:
    """A service instance that is logged in; `close_session` ends it.

    Raises
    ------
    InputError : when pyvmomi or the credentials are missing, the server cannot be reached, its certificate is not
        trusted, or the login is refused.
    """
    where = str(address)
    user = login.user or address.user or os.environ.get(USER, "")
    password = login.password or os.environ.get(PASSWORD, "")
    try:
        from pyVim.connect import SmartConnect
        from pyVmomi import vim, vmodl
    except ImportError:
        given = "pyvmomi, the library that talks to vCenter, is not installed"
        raise InputError(Fault(where, given, "the extra vcenter", INSTALL)) from None
    if not user or not password:
        missing = " and ".join(
            what for what, is_ in ((f"user ({USER})", user), (f"password ({PASSWORD})", password)) if not is_
        )
        raise InputError(Fault(where, f"no {missing}", "credentials in the environment, or a file"))
    try:
        return SmartConnect(
            host=address.host,
            port=address.port,
            user=user,
            pwd=password,
            sslContext=_context(address, login),
            httpConnectionTimeout=TIMEOUT_S,
        )
    except vim.fault.InvalidLogin:
        raise InputError(Fault(where, f"the login of {user!r} was refused", "valid credentials")) from None
    except ssl.SSLCertVerificationError as error:
        hint = "name its authorities in a file, or the certificate's thumbprint"
        given = f"its certificate is not trusted: {error.verify_message}"
        raise InputError(Fault(where, given, "a certificate that can be verified", hint)) from None
    except (OSError, vmodl.MethodFault) as error:
        given = f"no connection: {getattr(error, 'msg', error)}"
        raise InputError(Fault(where, given, "a vCenter that answers")) from None


def close_session(service: Any) -> None:
    """Log out, and end the connections."""
    from pyVim.connect import Disconnect

    try:
        Disconnect(service)
    finally:
        service._stub.DropConnections()


@contextmanager
def session(address: Address, login: Login) -> Iterator[Any]:
    """A service instance for as long as the block lasts."""
    service = open_session(address, login)
    try:
        yield service
    finally:
        close_session(service)
