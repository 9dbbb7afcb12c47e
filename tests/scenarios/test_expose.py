"""The running example: the VIP answers, its members answer nobody else, and they come and go by themselves."""

from __future__ import annotations

import pytest
from tests.scenarios.stage import Stage, eventually, inspected

pytestmark = pytest.mark.lab

VIP = "http://docker1.lab.lab"
NETWORK = "presentation_backend"


def start_members(stage: Stage) -> None:
    stage.start("docker2", "web1", network=NETWORK)
    stage.start("docker3", "web2", network=NETWORK)


def test_the_vip_answers_from_the_client_host_alternating_its_members(stage: Stage) -> None:
    file = stage.example("01-overlay")
    stage.up(file)
    start_members(stage)
    stage.members_up(file, "web1", "web2")
    answers = stage.answers(f"{VIP}/", count=8)
    assert answers in (["web1", "web2"] * 4, ["web2", "web1"] * 4)


def test_the_statistics_page_wants_its_password_and_shows_both_members_checked(stage: Stage) -> None:
    file = stage.example("01-overlay")
    stage.up(file)
    start_members(stage)
    stage.members_up(file, "web1", "web2")
    password = (file.parent / "secrets/lbstats").read_text().strip()
    assert stage.get(f"{VIP}/lbstats")[0] == 401
    assert stage.get(f"{VIP}/lbstats", "-u", "user:wrong")[0] == 401
    status, page = stage.get(f"{VIP}/lbstats;csv", "-u", f"user:{password}")
    assert status == 200
    columns, *lines = (line.split(",") for line in page.splitlines())
    rows = [dict(zip(columns, line, strict=False)) for line in lines]
    members = {
        row["svname"]: (row["check_status"], row["check_code"]) for row in rows if row["svname"].startswith("web")
    }
    assert members == {"web1": ("L7OK", "200"), "web2": ("L7OK", "200")}


def test_the_password_is_nowhere_in_the_clear(stage: Stage) -> None:
    file = stage.example("01-overlay")
    password = "correct-horse-battery-staple"
    (file.parent / "secrets/lbstats").write_text(password + "\n")
    said = stage.up(file) + stage.plan(file)
    container = stage.balancer(file, "web")
    config = stage.dockgate("config", file, "web").stdout
    inspected = stage.lab.docker("docker1", "inspect", container).stdout
    logs = stage.lab.docker("docker1", "logs", container)
    for text in (said, config, inspected, logs.stdout + logs.stderr):
        assert password not in text


@pytest.mark.parametrize("where", ["client", "docker1", "docker2", "docker3"])
def test_members_on_an_internal_overlay_answer_neither_the_client_nor_any_host(stage: Stage, where: str) -> None:
    file = stage.example("01-overlay")
    stage.up(file)
    start_members(stage)
    addresses = [row["address"] for row in stage.members_up(file, "web1", "web2").values()]
    for address in addresses:
        done = stage.lab.exec(where, ["curl", "-s", "-m", "2", f"http://{address}/"])
        assert done.returncode in (7, 28), f"{where} reached {address}: {done.stdout}"
    inside = stage.lab.docker(
        "docker1", "exec", stage.balancer(file, "web"), "socat", "-T2", "-", f"TCP:{addresses[0]}:80,connect-timeout=2"
    )
    assert inside.returncode == 0, "the control failed: the load balancer itself cannot open the member's port"


def test_the_load_balancer_starts_before_any_member_exists_and_they_join_by_themselves(stage: Stage) -> None:
    file = stage.example("01-overlay")
    assert "answers 503: no member of pool pres_containers is up yet" in stage.up(file)
    assert stage.get(f"{VIP}/")[0] == 503
    stage.start("docker2", "web1", network=NETWORK)
    stage.members_up(file, "web1")
    assert stage.get(f"{VIP}/") == (200, "web1")
    stage.start("docker3", "web2", network=NETWORK)
    stage.members_up(file, "web1", "web2")
    assert set(stage.answers(f"{VIP}/")) == {"web1", "web2"}


def test_a_member_that_returns_with_another_address_is_followed(stage: Stage) -> None:
    file = stage.example("01-overlay")
    stage.up(file)
    start_members(stage)
    before = stage.members_up(file, "web1", "web2")["web1"]["address"]
    stage.lab.docker("docker2", "rm", "-f", "web1")
    stage.start("docker2", "placeholder", network=NETWORK)
    stage.start("docker2", "web1", network=NETWORK)

    def moved() -> bool:
        rows = {row["member"]: row for row in stage.status(file)["members"]}
        return bool(rows["web1"]["up"] and rows["web1"]["address"] != before)

    eventually(moved, "web1 is up at its new address")
    assert set(stage.answers(f"{VIP}/")) == {"web1", "web2"}


def test_a_second_up_changes_nothing(stage: Stage) -> None:
    file = stage.example("01-overlay")
    stage.up(file)
    start_members(stage)
    stage.members_up(file, "web1", "web2")
    before = inspected(stage.lab, "docker1", "container", stage.balancer(file, "web"))
    assert "nothing to do" in stage.plan(file)
    assert "done: 0 changes" in stage.up(file)
    assert inspected(stage.lab, "docker1", "container", stage.balancer(file, "web")) == before


def test_down_takes_what_is_ours_and_leaves_members_and_foreign_things(stage: Stage) -> None:
    file = stage.example("01-overlay")
    stage.lab.docker("docker1", "network", "create", "foreign")
    try:
        stage.up(file)
        start_members(stage)
        assert f"network {NETWORK} stays: web1, web2 attached to it" in stage.dockgate("down", file).stdout
        assert stage.lab.docker("docker2", "ps", "--format", "{{.Names}}").stdout.split() == ["web1"]
        stage.lab.docker("docker2", "rm", "-f", "web1")
        stage.lab.docker("docker3", "rm", "-f", "web2")
        stage.dockgate("down", file)
        names = stage.lab.docker("docker1", "network", "ls", "--format", "{{.Name}}").stdout.split()
        assert "foreign" in names
        assert NETWORK not in names
        for host in stage.lab.hosts:
            for kind in ("container", "volume", "network"):
                options = ["-a"] if kind == "container" else []
                left = stage.lab.docker(host, kind, "ls", *options, "-q", "--filter", "label=dockgate.project").stdout
                assert left == "", f"{host} still has a {kind} of ours"
    finally:
        stage.lab.docker("docker1", "network", "rm", "foreign")


def test_two_vips_with_two_networks_live_side_by_side_on_one_host(stage: Stage) -> None:
    file = stage.example("04-own-address")
    stage.up(file)
    stage.start("docker2", "blue1", network="blue_backend")
    stage.start("docker3", "green-a", network="green_backend", alias="green")
    stage.start("docker2", "green-b", network="green_backend", alias="green")
    eventually(lambda: stage.get("http://10.10.10.150/") == (200, "blue1"), "the blue VIP answers from blue1")
    eventually(
        lambda: set(stage.answers("http://10.10.10.151/")) == {"green-a", "green-b"}, "both green members answer"
    )
    assert set(stage.answers("http://10.10.10.150/")) == {"blue1"}
    assert stage.curl("http://docker1.lab.lab/").returncode == 7, "port 80 of the host itself must stay closed"


def test_ten_vips_run_side_by_side(stage: Stage) -> None:
    hosts = "\n".join(
        f'  {name}: {{engine: "unix:///run/dockgate-lab/{name}/docker.sock", address: {stage.lab.address(name)}}}'
        for name in stage.lab.hosts
    )
    vips = "\n".join(
        f"  v{n}: {{hosts: [docker{n % 3 + 1}], listen: [{{port: {8100 + n}}}], pool: p{n % 2}}}" for n in range(10)
    )
    file = stage.write(
        f"project: ten\nhosts:\n{hosts}\n"
        "networks: {net0: {driver: overlay, internal: true}, net1: {driver: overlay, internal: true}}\n"
        f"vips:\n{vips}\n"
        "pools:\n  p0: {network: net0, port: 80, members: [m0]}\n  p1: {network: net1, port: 80, members: [m1]}\n"
    )
    stage.up(file)
    stage.start("docker2", "m0", network="net0")
    stage.start("docker3", "m1", network="net1")
    for n in range(10):
        url = f"http://docker{n % 3 + 1}.lab.lab:{8100 + n}/"
        eventually(lambda url=url, n=n: stage.get(url) == (200, f"m{n % 2}"), f"VIP v{n} answers from m{n % 2}")
