"""The vCenter reader on fakes: no vCenter is at hand here, so the wire itself is not tested."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace as Fake
from typing import Any

import pytest

from drs.errors import InputError
from drs.io import InputWarning, Options, convert
from drs.io.readers.vcenter import PROPERTIES, read_vcenter
from drs.io.readers.vcenter_login import Login, parse_address
from drs.io.readers.vcenter_tables import reading_of
from drs.problem import Problem
from drs.rules import KeepApart, KeepTogether, NotRunOn, RunOn


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
                    "configurationEx": Fake(
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


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_the_mapping() -> None:
    found = reading_of(inventory().__getitem__, name="vc01").snapshot
    assert found is not None
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
        reading_of(lambda kind: [], name="vc01")
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


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_reading_page_by_page(pyvmomi: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRS_VCENTER_PASSWORD", "secret")
    snapshot = read_vcenter("vcenter://me@vc01").snapshot
    assert snapshot is not None
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
        read_vcenter(source, Options(login=Login(password=password)))
    assert caught.value.given == given
    assert "secret" not in str(caught.value)


# -- DRS rules, groups and VMs that are not planned


class AffinityRuleSpec(Fake):
    pass


class AntiAffinityRuleSpec(Fake):
    pass


class VmHostRuleInfo(Fake):
    pass


class DependencyRuleInfo(Fake):
    pass


A, B, C, LOST_VM, AGENT, SLEEPER, H3 = (Ref(f"more-{i}") for i in range(7))


def vm(
    name: str, host: Ref | None = H1, power: str = "poweredOn", state: str = "connected"
) -> dict[str, Any]:
    return {
        "name": name,
        "runtime.host": host,
        "runtime.powerState": power,
        "runtime.connectionState": state,
        "config.hardware": Fake(memoryMB=1024, numCPU=1, device=[]),
        "summary.quickStats": Fake(overallCpuDemand=10, guestMemoryUsage=5),
    }


def with_rules(*rules: Any, groups: tuple[Any, ...] = (), **vms: dict[str, Any]) -> Any:
    found = inventory()
    config = found["ClusterComputeResource"][0][1]["configurationEx"]
    config.rule, config.group = list(rules), list(groups)
    config.dasConfig = Fake(enabled=True, admissionControlPolicy=Fake(failoverLevel=1))
    found["VirtualMachine"] = [(A, vm("a")), (B, vm("b")), (C, vm("c", H2))]
    found["VirtualMachine"] += [(Ref(name), each) for name, each in vms.items()]
    return found


def test_drs_rules_become_rules() -> None:
    groups = (Fake(name="dbs", vm=[A, B]), Fake(name="west", host=[H1]), Fake(name="east", host=[H2]))
    found = with_rules(
        AffinityRuleSpec(name="pair", enabled=True, vm=[A, B]),
        AntiAffinityRuleSpec(name="apart", enabled=True, vm=[A, C]),
        VmHostRuleInfo(
            name="must", enabled=True, mandatory=True, vmGroupName="dbs", affineHostGroupName="west",
            antiAffineHostGroupName=None,
        ),
        VmHostRuleInfo(
            name="should not", enabled=True, mandatory=False, vmGroupName="dbs", affineHostGroupName=None,
            antiAffineHostGroupName="east",
        ),
        DependencyRuleInfo(name="order", enabled=True, vmGroup="dbs", dependsOnVmGroup="dbs"),
        AffinityRuleSpec(name="asleep", enabled=False, vm=[A, B]),
        AffinityRuleSpec(name="lonely", enabled=True, vm=[A, V3]),
        groups=groups,
    )  # fmt: skip
    with pytest.warns(InputWarning) as caught:
        reading = reading_of(found.__getitem__, name="vc01")
    said = " | ".join(str(each.message) for each in caught)
    assert "1 DRS rules are switched off in vCenter and not read: asleep" in said
    assert "2 DRS rules are not read, they do not place or have too few members: order, lonely" in said
    assert "1 DRS rules name VMs or hosts that are left out: lonely" in said
    assert reading.rules == (
        KeepTogether(vms=("a", "b"), name="pair"),
        KeepApart(vms=("a", "c"), name="apart"),
        RunOn(vms=("a", "b"), hosts=("esx-01",), name="must", policy="hard"),
        NotRunOn(vms=("a", "b"), hosts=("esx-02",), name="should not", policy="soft"),
    )
    assert reading.snapshot is not None
    assert reading.snapshot.clusters.ha_failover_hosts[0] == 1
    Problem(reading.snapshot, reading.rules)


def test_rules_of_one_name_in_two_clusters_stay_apart() -> None:
    found = with_rules(AffinityRuleSpec(name="pair", enabled=True, vm=[A, B]))
    other = Fake(rule=[AffinityRuleSpec(name="pair", enabled=True, vm=[B, C])], group=[])
    found["ClusterComputeResource"].append((Ref("second"), {"name": "lab", "configurationEx": other}))
    names = [rule.name for rule in reading_of(found.__getitem__).rules]
    assert names == ["pair (prod)", "pair (lab)"]


def test_what_is_never_planned_is_named() -> None:
    found = with_rules(
        lost=vm("ghost", state="orphaned"),
        agent=vm("vCLS-1234"),
        sleeper=vm("sleeper", power="suspended"),
        gold={"name": "gold", "config.template": True, "config.hardware": Fake()},
    )
    found["Datastore"].append(
        (
            Ref("gone"),
            {"name": "gone", "parent": None, "summary": Fake(capacity=0, freeSpace=0, accessible=False)},
        )
    )
    with pytest.warns(InputWarning) as caught:
        snapshot = reading_of(found.__getitem__).snapshot
    said = " | ".join(str(each.message) for each in caught)
    assert "1 orphaned, inaccessible or invalid VMs are left out: ghost" in said
    assert "(vCLS) are left out: vCLS-1234" in said and "1 templates are left out: gold" in said
    assert "1 suspended VMs count as powered off: sleeper" in said
    assert "1 datastores without a capacity are left out, with the disks on them: gone" in said
    assert snapshot is not None
    assert snapshot.vms.name.tolist() == ["a", "b", "c", "sleeper"]
    assert snapshot.vms.power.tolist() == ["on", "on", "on", "off"]
    assert snapshot.provenance.cpu_demand == "measured"


def test_a_running_vm_on_a_host_that_the_account_cannot_see() -> None:
    found = with_rules(far=vm("far", H3))
    with pytest.raises(InputError, match="1 of 4 running VMs are on hosts that the account cannot see: far"):
        reading_of(found.__getitem__)
    with pytest.warns(InputWarning, match="left out: far"):
        snapshot = reading_of(found.__getitem__, Options(without_unknown_hosts=True)).snapshot
    assert snapshot is not None and "far" not in snapshot.vms.name.tolist()
    assert "left out" in snapshot.provenance.note
