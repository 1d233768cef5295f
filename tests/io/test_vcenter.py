"""The vCenter reader on fakes: no vCenter is at hand here, so the wire itself is not tested."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace as Fake
from typing import Any

import pytest

from drs.errors import InputError
from drs.io import convert
from drs.io.readers.vcenter import PROPERTIES, read_vcenter, snapshot_of
from drs.io.readers.vcenter_login import Login, parse_address


class Ref:
    """A managed object: equal to itself."""

    def __init__(self, id_: str) -> None:
        self._moId = id_


class VirtualPCIPassthrough(Fake):
    pass


CLUSTER, H1, H2, DS, DS2, POD, NET, NET2, V1, V2, V3, TOP, GOLD, WEB = (Ref(f"ref-{i}") for i in range(14))


def hardware(model: str = "Intel(R) Xeon(R)") -> Fake:
    return Fake(cpuMhz=2000, numCpuCores=16, memorySize=2**38, cpuModel=model)


def disk(key: int, store: Ref, kib: int) -> Fake:
    return Fake(
        key=key, capacityInKB=kib, backing=Fake(datastore=store), deviceInfo=Fake(label=f"Hard disk {key}")
    )


def allocation(reservation: int = 0, limit: int = -1, shares: int = 1000) -> Fake:
    return Fake(reservation=reservation, limit=limit, shares=Fake(shares=shares))


def inventory() -> dict[str, list[tuple[Ref, dict[str, Any]]]]:
    return {
        "ClusterComputeResource": [
            (
                CLUSTER,
                {
                    "name": "prod",
                    "summary": Fake(currentEVCModeKey="intel-haswell"),
                    "configuration": Fake(
                        drsConfig=Fake(enabled=True, defaultVmBehavior="partiallyAutomated", vmotionRate=1),
                        dasConfig=Fake(enabled=True, failoverLevel=2),
                        drsVmConfig=[Fake(key=V1, behavior="manual", enabled=True)],
                    ),
                },
            ),
        ],
        "StoragePod": [(POD, {"name": "pod"})],
        "Network": [(NET, {"name": "app%2ffront"}), (NET2, {"name": "orphan"})],
        "Datastore": [
            (
                DS,
                {
                    "name": "ds",
                    "parent": POD,
                    "summary": Fake(
                        capacity=2**40, freeSpace=2**39, accessible=True, maintenanceMode="normal"
                    ),
                },
            ),
            (
                DS2,
                {
                    "name": "ds",
                    "parent": None,
                    "summary": Fake(
                        capacity=2**40, freeSpace=2**41, accessible=True, maintenanceMode="inMaintenance"
                    ),
                },
            ),
        ],
        "HostSystem": [
            (
                H1,
                {
                    "name": "esx-01",
                    "parent": CLUSTER,
                    "summary.hardware": hardware(),
                    "summary.maxEVCModeKey": "intel-skylake",
                    "runtime.connectionState": "connected",
                    "runtime.inMaintenanceMode": False,
                    "datastore": [DS],
                    "network": [NET],
                    "config.network.pnic": [
                        Fake(linkSpeed=Fake(speedMb=1000)),
                        Fake(linkSpeed=Fake(speedMb=25000)),
                        Fake(linkSpeed=None),
                    ],
                },
            ),
            (
                H2,
                {
                    "name": "esx-02",
                    "parent": Ref("domain-s9"),
                    "summary.hardware": hardware("AMD EPYC"),
                    "runtime.connectionState": "notResponding",
                    "datastore": [DS, DS2],
                    "network": [],
                },
            ),
        ],
        "ResourcePool": [
            (TOP, {"name": "Resources", "parent": CLUSTER, "owner": CLUSTER, "config": Fake()}),
            (
                GOLD,
                {
                    "name": "gold",
                    "parent": TOP,
                    "owner": CLUSTER,
                    "config": Fake(
                        cpuAllocation=Fake(
                            reservation=500, limit=-1, shares=Fake(shares=8000), expandableReservation=False
                        ),
                        memoryAllocation=Fake(
                            reservation=0, limit=4096, shares=Fake(shares=7), expandableReservation=True
                        ),
                    ),
                },
            ),
            (WEB, {"name": "web pool", "parent": GOLD, "owner": CLUSTER}),
        ],
        "VirtualMachine": [
            (
                V1,
                {
                    "name": "web",
                    "resourcePool": WEB,
                    "runtime.host": H1,
                    "runtime.powerState": "poweredOn",
                    "runtime.minRequiredEVCModeKey": "intel-haswell",
                    "config.template": False,
                    "config.hardware": Fake(
                        memoryMB=4096,
                        numCPU=2,
                        device=[disk(1, DS, 2**20), disk(2, DS2, 2**21), VirtualPCIPassthrough()],
                    ),
                    "config.cpuAllocation": allocation(100, 900),
                    "config.memoryAllocation": allocation(shares=5),
                    "summary.quickStats": Fake(
                        overallCpuDemand=700, guestMemoryUsage=900, hostMemoryUsage=3000
                    ),
                    "network": [NET, NET2],
                },
            ),
            (
                V2,
                {
                    "name": "web",
                    "runtime.host": None,
                    "runtime.powerState": "poweredOff",
                    "config.hardware": Fake(memoryMB=1024, numCPU=1, device=[]),
                    "summary.quickStats": Fake(overallCpuUsage=5),
                    "network": [],
                },
            ),
            (V3, {"name": "gold", "config.template": True, "config.hardware": Fake()}),
        ],
    }


def test_the_mapping() -> None:
    found = snapshot_of(inventory().__getitem__, name="vc01")
    assert set(inventory()) == set(PROPERTIES)
    hosts, vms, clusters = found.hosts, found.vms, found.clusters
    assert hosts.name.tolist() == ["esx-01", "esx-02"] and hosts.cpu_mhz.tolist() == [32000, 32000]
    assert hosts.memory_mib.tolist() == [2**18, 2**18] and hosts.vmotion_mbps.tolist() == [25000, 10000]
    assert hosts.state.tolist() == ["connected", "disconnected"] and hosts.cpu_vendor.tolist() == [
        "intel",
        "amd",
    ]
    assert clusters.name.tolist() == ["prod", "esx-02"] and clusters.evc_mode.tolist() == [
        "intel-haswell",
        "",
    ]
    assert (clusters.automation[0], clusters.migration_threshold[0], clusters.ha_failover_hosts[0]) == (
        "partial",
        5,
        2,
    )
    assert vms.name.tolist() == ["web (ref-8)", "web (ref-9)"] and vms.host_idx.tolist() == [0, -1]
    assert vms.cpu_demand_mhz.tolist() == [700, 5] and vms.automation.tolist() == ["manual", ""]
    assert vms.cpu_limit_mhz.tolist() == [900, float("inf")] and vms.gpus.tolist() == [1, 0]
    assert vms.memory_shares.tolist() == [5, 10240] and vms.power.tolist() == ["on", "off"]
    assert found.datastores.name.tolist() == ["ds (ref-3)", "ds (ref-4)"]
    assert found.datastores.free_gib.tolist() == [512, 1024]
    assert found.datastores.state.tolist() == ["connected", "maintenance"]
    assert found.datastores.datastore_cluster.tolist() == ["pod", ""]
    assert found.disks.size_gib.tolist() == [1, 2] and found.disks.datastore_idx.tolist() == [0, 1]
    assert found.mounts.tolist() == [[True, False], [True, True]]
    assert found.networks.tolist() == ["app/front", "orphan"]
    assert found.portgroups.tolist() == [[True, False], [False, False]]
    assert found.nic_vm_idx.tolist() == [0, 0]
    pools = found.pools
    assert pools.name.tolist() == ["gold", "web pool"] and pools.parent_idx.tolist() == [-1, 0]
    assert pools.cpu_reservation_mhz.tolist() == [500, 0] and pools.cpu_shares.tolist() == [8000, 4000]
    assert pools.cpu_expandable.tolist() == ["no", "yes"] and pools.memory_limit_mib.tolist()[0] == 4096
    assert vms.pool_idx.tolist() == [1, -1]


def test_an_account_that_may_see_nothing() -> None:
    with pytest.raises(InputError) as caught:
        snapshot_of(lambda kind: [], name="vc01")
    assert [fault.given for fault in caught.value.faults] == ["it shows no hosts", "it shows no vms"]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("vcenter://vc01", ("vc01", 443, "")),
        ("vcenter://me@vc01:8443/", ("vc01", 8443, "me")),
        ("vcenter://me@vsphere.local@vc01.example.org", ("vc01.example.org", 443, "me@vsphere.local")),
    ],
)
def test_addresses(source: str, parts: tuple[str, int, str]) -> None:
    address = parse_address(source)
    assert address is not None and (address.host, address.port, address.user) == parts


@pytest.mark.parametrize("source", ["vc01", "https://vc01", "export.xlsx"])
def test_no_addresses(source: str) -> None:
    assert parse_address(source) is None


@pytest.mark.parametrize(
    "source", ["vcenter://", "vcenter://a/b", "vcenter://me:s3cret@vc01", "vcenter://me:s3cret@vc01:x"]
)
def test_an_address_that_cannot_be_read_is_not_repeated(source: str, tmp_path: Any) -> None:
    for ask in (parse_address, read_vcenter, lambda text: convert(text, tmp_path / "out")):
        with pytest.raises(InputError) as caught:
            ask(source)
        assert "s3cret" not in str(caught.value) and "vcenter://[user@]host[:port]" in caught.value.expected


def test_a_login_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(Login("me", "s3cret"))


def test_without_pyvmomi_the_cure_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("pyVim", "pyVim.connect", "pyVmomi"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        convert("vcenter://vc01", tmp_path / "out")
    assert caught.value.hint == "pip install 'drs-optimizer[vcenter]'"
    assert not (tmp_path / "out").exists()


@pytest.fixture
def pyvmomi(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A pyvmomi that hands out the inventory page by page, and notes what was done to it."""
    log: list[str] = []

    class MethodFault(Exception):
        msg = "the database is down"

    class InvalidLogin(MethodFault):
        pass

    def connect(**kwargs: Any) -> Fake:
        log.append(f"connect {kwargs['user']}@{kwargs['host']}:{kwargs['port']}")
        if kwargs["pwd"] == "wrong":
            raise InvalidLogin
        if kwargs["pwd"] == "down":
            raise MethodFault
        if kwargs["host"] == "nowhere":
            raise OSError("name or service not known")
        stub = Fake(DropConnections=lambda: log.append("drop"))
        return Fake(RetrieveContent=lambda: content, _stub=stub)

    def page(kind: str, number: int) -> Fake:
        objects = inventory()[kind]
        ref, props = objects[number]
        return Fake(
            objects=[Fake(obj=ref, propSet=[Fake(name=name, val=value) for name, value in props.items()])],
            token=f"{kind} {number + 1}" if number + 1 < len(objects) else None,
        )

    def turn(token: str) -> Fake:
        kind, number = token.split()
        return page(kind, int(number))

    content = Fake(
        rootFolder=None,
        viewManager=Fake(CreateContainerView=lambda *_: Fake(Destroy=lambda: log.append("destroy"))),
        propertyCollector=Fake(
            RetrievePropertiesEx=lambda filters, _: page(filters[0].propSet[0].type, 0),
            ContinueRetrievePropertiesEx=turn,
        ),
    )
    kinds = {kind: kind for kind in PROPERTIES}
    query = Fake(
        TraversalSpec=Fake, FilterSpec=Fake, ObjectSpec=Fake, PropertySpec=Fake, RetrieveOptions=Fake
    )
    modules = {
        "pyVim": types.ModuleType("pyVim"),
        "pyVim.connect": types.ModuleType("pyVim.connect"),
        "pyVmomi": types.ModuleType("pyVmomi"),
    }
    vars(modules["pyVim.connect"]).update(SmartConnect=connect, Disconnect=lambda _: log.append("disconnect"))
    vars(modules["pyVmomi"]).update(
        vim=Fake(**kinds, view=Fake(ContainerView=None), fault=Fake(InvalidLogin=InvalidLogin)),
        vmodl=Fake(query=Fake(PropertyCollector=query), MethodFault=MethodFault),
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("DRS_VCENTER_USER", raising=False)
    monkeypatch.delenv("DRS_VCENTER_PASSWORD", raising=False)
    return Fake(log=log)


def test_reading_page_by_page(pyvmomi: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRS_VCENTER_PASSWORD", "secret")
    snapshot = read_vcenter("vcenter://me@vc01")
    assert (snapshot.n_hosts, snapshot.n_vms, snapshot.name) == (2, 2, "vc01")
    assert pyvmomi.log == ["connect me@vc01:443", *["destroy"] * len(PROPERTIES), "disconnect", "drop"]


@pytest.mark.parametrize(
    ("source", "password", "given"),
    [
        ("vcenter://vc01", "x", "no user (DRS_VCENTER_USER)"),
        ("vcenter://me@vc01", "", "no password (DRS_VCENTER_PASSWORD)"),
        ("vcenter://me@vc01", "wrong", "the login of 'me' was refused"),
        ("vcenter://me@vc01", "down", "no connection: the database is down"),
        ("vcenter://me@nowhere", "x", "no connection: name or service not known"),
        ("vc01", "x", "no vCenter address"),
    ],
)
def test_when_it_does_not_answer(source: str, password: str, given: str, pyvmomi: Fake) -> None:
    with pytest.raises(InputError) as caught:
        read_vcenter(source, Login(password=password))
    assert caught.value.given == given
    assert "secret" not in str(caught.value)
