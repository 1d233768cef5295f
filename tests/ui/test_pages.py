"""Every page, driven as a user does, without a browser."""

from __future__ import annotations

import dataclasses
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_driver import PAGES, app_state, finished, healthy, in_hand, the_store
from streamlit.testing.v1 import AppTest

from drs import api, datasets
from drs import io as drs_io
from drs.errors import Fault, InputError
from drs.model import Placement, Snapshot
from drs.planning import Move, Plan
from drs.problem import Problem
from drs.result import Conflict, GoalScore, Relaxation, Result
from drs.stop import Progress
from drs.ui.state import STORED
from drs.ui.views import advise as advise_page

HOSTILE = "<script>alert(1)</script> :red[**x**] $y$ [a](javascript:b)"
Open = Callable[..., AppTest]


def one_move(snapshot: Snapshot, **changes: Any) -> Result:
    """A result that sends the first VM to another host."""
    host_idx = snapshot.vms.host_idx.copy()
    was = int(host_idx[0])
    host_idx[0] = (was + 1) % snapshot.n_hosts
    placement = Placement(host_idx, snapshot.disks.datastore_idx)
    first, order = snapshot.disks_of_vm
    own = snapshot.disks.datastore_idx[order[first[0] : first[1]]]
    stores = tuple(str(snapshot.datastores.name[store]) for store in own)
    move = Move(
        1,
        1,
        str(snapshot.vms.name[0]),
        "vmotion",
        str(snapshot.hosts.name[was]),
        str(snapshot.hosts.name[host_idx[0]]),
        reason="evens out cpu",
        precopy_s=9.0,
        total_s=10.0,
        downtime_ms=200.0,
        transferred_mib=4096.0,
        rounds=3,
        from_datastores=stores,
        to_datastores=stores,
    )
    plan = Plan(snapshot, placement, placement, (move,), makespan_s=10.0, makespan_bound_s=10.0)
    goals = (GoalScore("balance", "spread", 0.3, 0.1, 0.1),)
    result = Result(Problem(snapshot), "optimal", placement, goals, (), (), "auto", 0, 0.1, plan=plan)
    return dataclasses.replace(result, **changes)


def zipped(snapshot: Snapshot, folder: Path, inside: str = "cluster/") -> bytes:
    """A snapshot as a zip of its folder."""
    drs_io.write_folder(snapshot, folder)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, inside + file.name)
    return memory.getvalue()


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Upload files on the overview page."""
    app.file_uploader(key="overview.files").set_value(
        [(name, data, "application/octet-stream") for name, data in files]
    )
    app.run()
    return app.button(key="overview.open").click().run()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_drawn(page: str, open_app: Open) -> None:
    app = open_app(page)
    assert len(app.title) == 1
    assert not app.error


def test_the_app_of_a_checkout_is_the_packaged_app() -> None:
    top = Path(__file__).parents[2] / "app.py"
    if not top.is_file():
        pytest.skip("not a checkout: the top-level app.py is not installed")
    app = AppTest.from_file(str(top), default_timeout=60)
    healthy(app.run())
    assert app.title[0].value == "small"
    healthy(app.switch_page("drs/ui/views/calculator.py").run())
    assert app.title[0].value == "Migration calculator"


def test_overview_shows_what_is_broken(open_app: Open) -> None:
    app = open_app()
    cluster = app_state(app).cluster
    assert cluster is not None
    assert len(cluster.violations) == len(api.check("small")) > 0
    shown = next(frame.value for frame in app.dataframe if "What is broken" in frame.value.columns)
    assert shown["What is broken"].tolist() == [v.sentence for v in cluster.violations]
    assert {metric.label: metric.value for metric in app.metric}["Hosts"] == "10"


def test_overview_of_another_resource(open_app: Open) -> None:
    app = open_app()
    healthy(app.button_group(key="overview.resource").set_value(["Memory"]).run())


def test_a_link_names_dataset_and_page() -> None:
    app = AppTest.from_file(str(Path(advise_page.__file__).parents[1] / "app.py"), default_timeout=60)
    app.query_params["dataset"] = "medium"
    app.query_params["page"] = "calculator"
    healthy(app.run())
    assert app_state(app).source == "medium"


def test_a_link_to_no_dataset_says_so() -> None:
    app = AppTest.from_file(str(Path(advise_page.__file__).parents[1] / "app.py"), default_timeout=60)
    app.query_params["dataset"] = "../../etc"
    healthy(app.run())
    assert "There is no dataset" in app.error[0].value
    assert app_state(app).source == "small"


def test_the_dataset_can_be_changed(open_app: Open) -> None:
    app = open_app()
    healthy(app.selectbox(key="sidebar.source").select("medium").run())
    assert app_state(app).source == "medium"
    assert app.title[0].value.startswith("medium")


def test_the_snapshot_of_the_command_line_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drs_io.write_folder(datasets.make_cluster(4, 12, 5), tmp_path / "mine")
    monkeypatch.setenv("DRS_UI_SNAPSHOT", str(tmp_path / "mine"))
    app = AppTest.from_file(str(Path(advise_page.__file__).parents[1] / "app.py"), default_timeout=60)
    healthy(app.run())
    cluster = app_state(app).cluster
    assert cluster is not None and cluster.snapshot.n_hosts == 4


def test_a_bad_snapshot_of_the_command_line_shows_all_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts.csv").write_text("host,cpu_mhz,memory_mib\na,-5,x\n")
    (tmp_path / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nv,b,1,1\n")
    monkeypatch.setenv("DRS_UI_SNAPSHOT", str(tmp_path))
    app = AppTest.from_file(str(Path(advise_page.__file__).parents[1] / "app.py"), default_timeout=60)
    healthy(app.run())
    assert len(app.error) == 1
    assert all(word in app.error[0].value for word in ("cpu\\_mhz", "memory\\_mib"))


def test_uploading_a_zip(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    healthy(upload(app, ("lab.zip", zipped(datasets.make_cluster(3, 9, 2), tmp_path / "s"))))
    state = app_state(app)
    assert state.source.startswith(STORED) and state.cluster is not None
    assert state.cluster.snapshot.n_vms == 9
    healthy(app.switch_page("views/schedule.py").run())
    healthy(app.selectbox(key="sidebar.source").select("small").run())
    healthy(app.selectbox(key="sidebar.source").select(state.source).run())
    assert app_state(app).source.startswith(STORED)


def test_uploading_tables_one_by_one(open_app: Open, tmp_path: Path) -> None:
    drs_io.write_folder(datasets.make_cluster(3, 9, 2), tmp_path / "s")
    files = [(file.name, file.read_bytes()) for file in sorted((tmp_path / "s").iterdir())]
    app = open_app()
    healthy(upload(app, *files))
    assert app_state(app).source.startswith(STORED)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.zip", b"not a zip", "not a zip file"),
        ("hosts.csv", b"host,cpu_mhz,memory_mib\na,1,1\n", "vms"),
        ("hosts.csv", b"\xff\xfe\x00", ""),
        ("x.xlsx", b"no workbook", ""),
    ],
)
def test_a_bad_upload_is_one_message(name: str, content: bytes, words: str, open_app: Open) -> None:
    app = open_app()
    healthy(upload(app, (name, content)))
    assert len(app.error) == 1
    assert words in app.error[0].value
    assert "/tmp" not in app.error[0].value
    assert app_state(app).source == "small", "what was open stays open"


def test_all_faults_of_an_upload_are_shown_together(open_app: Open) -> None:
    app = open_app()
    hosts = b"host,cpu_mhz,memory_mib\nesx-1,-5,1024\nesx-1,1000,abc\n"
    vms = b"vm,host,memory_mib,cpu_demand_mhz\nv,esx-9,1,nan\n"
    healthy(upload(app, ("hosts.csv", hosts), ("vms.csv", vms)))
    assert len(app.error) == 1
    assert app.error[0].value.count("\n- ") >= 3


def test_a_zip_cannot_leave_its_folder(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    outside = tmp_path / "s"
    healthy(upload(app, ("x.zip", zipped(datasets.make_cluster(3, 9, 2), outside, "../../../evil/"))))
    assert app_state(app).source.startswith(STORED)
    assert not (outside.parent.parent / "evil").exists()


def test_a_zip_without_hosts_says_so(open_app: Open) -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("readme.csv", "a,b\n")
    app = open_app()
    healthy(upload(app, ("x.zip", memory.getvalue())))
    assert "no hosts" in app.error[0].value


def test_hostile_names_stay_text_on_every_page(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = datasets.make_cluster(3, 9, 2)
    names = np.array([HOSTILE, *plain.vms.name[1:].tolist()])
    snapshot = dataclasses.replace(
        plain, name=HOSTILE, description=HOSTILE, vms=dataclasses.replace(plain.vms, name=names)
    )
    result = one_move(snapshot, warnings=(HOSTILE,))
    monkeypatch.setattr(api, "advise", lambda *args, **kwargs: result)
    app = open_app()
    upload(app, ("evil.zip", zipped(snapshot, tmp_path / "s")))
    healthy(app)
    shown = [app.title[0].value]
    for page in PAGES[1:]:
        healthy(app.switch_page(f"views/{page}.py").run())
        if page == "advise":
            finished(app.button(key="advise.run").click().run())
        shown += [item.value for kind in (app.markdown, app.caption, app.title) for item in kind]
    assert not [words for words in shown if "<script>" in words or ":red[" in words]


def test_an_empty_cluster_has_pages(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    healthy(upload(app, ("empty.zip", zipped(datasets.make_cluster(2, 0, 1), tmp_path / "s"))))
    for page in PAGES[1:]:
        healthy(app.switch_page(f"views/{page}.py").run())


def test_advice_from_click_to_files(open_app: Open) -> None:
    app = open_app("advise")
    app.number_input(key="advise.time_s").set_value(3)
    app.selectbox(key="advise.solver").select("greedy")
    finished(app.run().button(key="advise.run").click().run())
    result = in_hand(app)
    assert result.plan is not None and result.plan.moves
    table = next(
        frame.value
        for frame in app.dataframe
        if "Why" in frame.value.columns and "Step" in frame.value.columns
    )
    assert len(table) == len(result.plan.moves)
    assert json.loads(advise_page.plan_json(result))["status"] == result.status
    assert advise_page.moves_csv(result).decode().count("\n") == len(result.plan.moves) + 1
    healthy(app.switch_page("views/schedule.py").run())
    assert {metric.label: metric.value for metric in app.metric}["Moves"] == f"{len(result.plan.moves):,}"
    healthy(app.slider(key="schedule.at_s").set_value(1).run())
    healthy(app.switch_page("views/advise.py").run())
    assert in_hand(app).goals == result.goals, "the answer outlives a change of page"


def test_what_was_chosen_outlives_a_change_of_page(open_app: Open) -> None:
    app = open_app("advise")
    app.number_input(key="advise.max_moves").set_value(7)
    app.selectbox(key="advise.mode").select("evacuate")
    healthy(app.run())
    app.multiselect(key="advise.evacuate").select("esx-a-02")
    healthy(app.run())
    healthy(app.switch_page("views/calculator.py").run())
    app.slider(key="calculator.dirty_rate_mibps").set_value(300.0)
    healthy(app.run())
    healthy(app.switch_page("views/advise.py").run())
    assert app.number_input(key="advise.max_moves").value == 7
    assert app.multiselect(key="advise.evacuate").value == ["esx-a-02"]
    healthy(app.switch_page("views/calculator.py").run())
    assert app.slider(key="calculator.dirty_rate_mibps").value == 300


def test_the_ask_reaches_the_library(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(snapshot: Snapshot, **asked: Any) -> Result:
        seen.update(asked)
        return one_move(snapshot)

    monkeypatch.setattr(api, "advise", fake)
    app = open_app("advise")
    app.selectbox(key="advise.mode").select("evacuate")
    healthy(app.run())
    app.multiselect(key="advise.evacuate").select("esx-a-03")
    app.selectbox(key="advise.goals").select("max")
    app.number_input(key="advise.max_moves").set_value(5)
    app.number_input(key="advise.max_downtime_ms").set_value(400.0)
    app.number_input(key="advise.seed").set_value(9)
    app.number_input(key="advise.deadline_h").set_value(2.0)
    finished(app.run().button(key="advise.run").click().run())
    assert seen["mode"] == "evacuate" and seen["options"].evacuate == ("esx-a-03",) and seen["seed"] == 9
    assert seen["policy"].limits.max_moves == 5 and seen["policy"].limits.max_downtime_ms == 400.0
    assert seen["policy"].goals[0].measure_by == "max"
    assert seen["options"].deadline_s == 7200.0
    assert seen["rules"] == app_state(app).cluster.rules  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("mode", "key", "value", "option", "given"),
    [
        ("storage", "advise.datastores", None, "datastores", None),
        ("place", "advise.new_like", "app-crm-01", "new", ("app-crm-01=1",)),
        ("upgrade-evc", "advise.baseline", "intel-broadwell", "baseline", "intel-broadwell"),
        ("upgrade-evc", "advise.cluster", "prod-01", "cluster", ("prod-01",)),
        ("consolidate", "", None, "evacuate", ()),
    ],
)
def test_every_mode_asks_for_what_it_takes(
    mode: str, key: str, value: Any, option: str, given: Any, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def fake(snapshot: Snapshot, **asked: Any) -> Result:
        seen.update(asked)
        return one_move(snapshot)

    monkeypatch.setattr(api, "advise", fake)
    app = open_app("advise")
    app.selectbox(key="advise.mode").select(mode)
    healthy(app.run())
    if mode == "storage":
        store = app.multiselect(key=key).options[0]
        given = (store,)
        app.multiselect(key=key).select(store)
    elif option == "cluster":
        app.multiselect(key=key).select(value)
    elif key:
        app.selectbox(key=key).select(value)
    finished(app.run().button(key="advise.run").click().run())
    assert seen["mode"] == mode
    assert getattr(seen["options"], option) == given


def test_conflicts_and_reports_are_shown(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass(frozen=True)
    class Said:
        def sentences(self) -> list[str]:
            return ["esx-a-07 can be powered off"]

    conflict = Conflict(
        ("a", "b"), ("v",), True, "a and b cannot hold together",
        (Relaxation("b", 1.0, "VM", "let b be broken by 1 VM"),),
    )  # fmt: skip

    def fake(snapshot: Snapshot, **asked: Any) -> Result:
        return one_move(snapshot, status="infeasible", plan=None, conflicts=(conflict,), report=Said())

    monkeypatch.setattr(api, "advise", fake)
    app = open_app("advise")
    finished(app.button(key="advise.run").click().run())
    words = " ".join(item.value for item in app.markdown)
    assert "a and b cannot hold together" in words
    assert "let b be broken by 1 VM" in words and "can be powered off" in words


def test_a_search_shows_progress_and_stops(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def slow(snapshot: Snapshot, **asked: Any) -> Result:
        asked["on_progress"](Progress("balance", 1.0, 0.25, 0.4, 0.1))
        begun.set()
        end = time.monotonic() + 30
        while not asked["stop"].interrupted and time.monotonic() < end:
            time.sleep(0.01)
        return one_move(snapshot, interrupted=asked["stop"].interrupted)

    monkeypatch.setattr(api, "advise", slow)
    app = open_app("advise")
    healthy(app.button(key="advise.run").click().run())
    assert begun.wait(10)
    healthy(app.run())
    assert app.button(key="advise.run").disabled
    healthy(app.button(key="advise.stop").click().run())
    finished(app)
    assert in_hand(app).interrupted
    assert any("was stopped" in each.value for each in app.info) and app.button(key="advise.go_on")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            InputError([Fault("rules.toml, rule 1", "unknown VM 'x'", "a VM"), Fault("b", "c", "d")]),
            "unknown VM",
        ),
        (RuntimeError("broken"), "This is a bug in drs"),
    ],
)
def test_a_failed_search_is_one_message(
    error: Exception, words: str, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any, **kwargs: Any) -> Result:
        raise error

    monkeypatch.setattr(api, "advise", fails)
    app = open_app("advise")
    finished(app.button(key="advise.run").click().run())
    assert len(app.error) == 1 and words in app.error[0].value
    assert not app_state(app).plan


def test_an_infeasible_answer_is_explained(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(snapshot: Snapshot, **asked: Any) -> Result:
        return one_move(snapshot, status="infeasible", plan=None, violations_after=())

    monkeypatch.setattr(api, "advise", fake)
    app = open_app("advise")
    finished(app.button(key="advise.run").click().run())
    assert "No placement satisfies" in app.error[0].value
    healthy(app.switch_page("views/schedule.py").run())
    assert any("no plan yet" in each.value for each in app.info)


def test_a_search_goes_on_when_the_data_is_changed(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def slow(snapshot: Snapshot, **asked: Any) -> Result:
        assert go.wait(20)
        return one_move(snapshot)

    monkeypatch.setattr(api, "advise", slow)
    app = open_app("advise")
    app.button(key="advise.run").click().run()
    job = app_state(app).job
    healthy(app.selectbox(key="sidebar.source").select("medium").run())
    assert not app_state(app).job and not app_state(app).plan
    go.set()
    wait_for(lambda: not the_store().job(job).running)  # type: ignore[union-attr]
    healthy(app.run())
    healthy(app.button(key=f"tray.show.{job}").click().run())
    assert app_state(app).plan == the_store().job(job).plan  # type: ignore[union-attr]


def wait_for(what: Callable[[], bool], most_s: float = 30.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + most_s
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_evacuation_asks_for_a_host(open_app: Open) -> None:
    app = open_app("advise", "medium")
    app.selectbox(key="advise.mode").select("evacuate")
    healthy(app.run())
    states = app_state(app).cluster.snapshot.hosts.state  # type: ignore[union-attr]
    assert app.button(key="advise.run").disabled == (not (states == "maintenance").any())


def test_calculator_refuses_what_cannot_be(open_app: Open) -> None:
    app = open_app("calculator")
    app.slider(key="calculator.rtt_ms").set_value(180.0)
    healthy(app.run())
    assert "not possible" in app.error[0].value


def test_calculator_warns_of_a_migration_that_does_not_converge(open_app: Open) -> None:
    app = open_app("calculator")
    app.select_slider(key="calculator.bandwidth_mbps").set_value(1_000.0)
    app.slider(key="calculator.dirty_rate_mibps").set_value(2_000.0)
    app.slider(key="calculator.working_set_percent").set_value(90.0)
    healthy(app.run())
    assert app.warning


def test_calculator_takes_a_vm_of_the_cluster(open_app: Open) -> None:
    app = open_app("calculator")
    cluster = app_state(app).cluster
    assert cluster is not None
    vm = str(cluster.snapshot.vms.name[4])
    app.selectbox(key="calculator.vm").select(vm)
    healthy(app.run())
    healthy(app.button(key="calculator.fill").click().run())
    migration = app_state(app).migration
    assert migration.memory_gib == float(cluster.snapshot.vms.memory_mib[4]) / 1024
    host = cluster.snapshot.hosts.position[app.selectbox(key="calculator.host").value]
    home = int(cluster.snapshot.vms.host_idx[4])
    if host != home:
        from drs.model.network import Network

        assert migration.bandwidth_mbps == Network.of(cluster.snapshot).path(home, host).bandwidth_mbps


@pytest.mark.parametrize("profile", ["qemu", "xen"])
def test_calculator_with_another_hypervisor(profile: str, open_app: Open) -> None:
    app = open_app("calculator")
    app.selectbox(key="calculator.profile").select(profile)
    app.number_input(key="calculator.downtime_limit_ms").set_value(100)
    healthy(app.run())
    assert app_state(app).migration.downtime_limit_ms == 100


def test_calculator_without_a_disk(open_app: Open) -> None:
    app = open_app("calculator")
    app.number_input(key="calculator.disk_gib").set_value(0)
    healthy(app.run())


@pytest.mark.parametrize(
    "mode", ["balance", "evacuate", "consolidate", "recover", "place", "upgrade-evc", "storage"]
)
def test_the_form_asks_for_the_options_that_are_declared_for_the_mode(mode: str, open_app: Open) -> None:
    from drs.options import OPTIONS, asked_by
    from drs.ui.state import widget_keys

    app = open_app("advise")
    app.selectbox(key="advise.mode").select(mode)
    healthy(app.run())
    widgets = [*app.selectbox, *app.multiselect, *app.number_input, *app.text_input, *app.text_area]
    shown = {widget.key for widget in widgets}
    # A choice of sites is only offered where there are two or more; this cluster has one.
    expected = {key for option in asked_by(mode) if option.kind != "site" for key in widget_keys(option)}
    every = {key for option in OPTIONS.values() for key in widget_keys(option)}
    assert shown & every == expected
    titles = {widget.label for widget in widgets}
    for option in asked_by(mode):
        if option.kind != "site":
            assert any(title.startswith(option.title) for title in titles)
