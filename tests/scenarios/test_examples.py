"""Every folder of examples/ as a person would try it: check, up, members as its comments say, what it promises, down.

A new folder without an expectation here fails: an example that nobody runs is an example that is wrong some day.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.scenarios.killed import ours
from tests.scenarios.stage import ROOT, Stage, eventually

from dockgate.edges.files import load_file

pytestmark = pytest.mark.lab

FOLDERS = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
MEMBER = "#   dockgate lab exec "
FILES = ("#   openssl ", "#   mkdir ")


def overlay(stage: Stage, file: Path) -> None:
    answered_by(stage, "http://docker1.lab.lab/", {"web1", "web2"})
    password = (file.parent / "secrets/lbstats").read_text().strip()
    assert stage.get("http://docker1.lab.lab/lbstats")[0] == 401
    assert stage.get("http://docker1.lab.lab/lbstats", "-u", f"user:{password}")[0] == 200


def published(stage: Stage, file: Path) -> None:
    answered_by(stage, "http://docker1.lab.lab:8080/", {"pub1", "pub2"})
    stage.lab.docker("docker2", "restart", "pub1")
    stage.up(file)
    answered_by(stage, "http://docker1.lab.lab:8080/", {"pub1", "pub2"})


def one_host(stage: Stage, file: Path) -> None:
    answered_by(stage, "http://docker1.lab.lab:8081/", {"app1", "app2"})
    assert {row["member"]: row["weight"] for row in stage.status(file)["members"]} == {"app1": 100, "app2": 50}


def own_address(stage: Stage, file: Path) -> None:
    answered_by(stage, "http://10.10.10.150/", {"blue1", "blue2"})
    answered_by(stage, "http://10.10.10.151/", {"green-a", "green-b"})
    assert stage.curl("http://docker1.lab.lab/").returncode == 7, "port 80 of the host itself must stay closed"


def routes(stage: Stage, file: Path) -> None:
    for host in ("docker1", "docker3"):
        url = f"http://{host}.lab.lab:8082"
        answered_by(stage, f"{url}/", {"front1"})
        answered_by(stage, f"{url}/", {"api1"}, "-H", "Host: api.shop.example")
        answered_by(stage, f"{url}/images", {"images1"})
        answered_by(stage, f"{url}/imagesque", {"front1"})
        tcp = f"http://{host}.lab.lab:9000/"
        eventually(partial(is_answered_by_any, stage, tcp, ("front1", "api1")), f"{tcp} answers")


def https(stage: Stage, file: Path) -> None:
    to = ("--connect-to", "::docker1.lab.lab:")
    for name, kind in (("shop", "ecdsa"), ("www.shop", "ecdsa"), ("shop", "rsa"), ("blog", "")):
        trusted = file.parent / f"certificates/{name.rpartition('.')[2]}{f'-{kind}' if kind else ''}.crt"
        ciphers = {"rsa": ("--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256")}.get(kind, ())
        words = (*to, "--cacert", str(trusted), *ciphers)
        answered_by(stage, f"https://{name}.example/", {"blog1" if name == "blog" else "shop1"}, *words)
    any_name = ("-k", *to, "-o", "/dev/null")
    assert stage.curl(*any_name, "-w", "%{http_version}", "https://shop.example/").stdout == "2"
    assert (
        "strict-transport-security: max-age=31536000"
        in stage.curl(*any_name, "-D", "-", "https://shop.example/").stdout
    )
    moved = stage.curl(*to, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://shop.example/a?b=c").stdout
    assert moved == "308 https://shop.example/a?b=c"
    assert stage.curl(*any_name, "--tls-max", "1.1", "https://shop.example/").returncode != 0


def client_certificates(stage: Stage, file: Path) -> None:
    folder = file.parent / "certificates"
    alice = ("-k", "--cert", str(folder / "alice.crt"), "--key", str(folder / "alice.key"))
    stranger = ("-k", "--cert", str(folder / "server.crt"), "--key", str(folder / "server.key"))
    required, optional = "https://docker1.lab.lab:8443/", "https://docker1.lab.lab:8444/"
    answered_by(stage, required, {"intern1"}, *alice)
    answered_by(stage, optional, {"intern1"}, *alice)
    answered_by(stage, optional, {"intern1"}, "-k")
    forged = ("-H", "X-Client-Certificate: /CN=bob")
    told = [stage.get(f"{optional}info", *words, *forged)[1] for words in (alice, ("-k",))]
    assert ["/CN=alice" in each for each in told] == [True, False]
    assert not [each for each in told if "bob" in each], "a client cannot say it of itself"
    for url, words in ((required, ("-k",)), (required, stranger), (optional, stranger)):
        assert stage.get(url, *words)[0] == 0, f"{url} {words}"


def passthrough(stage: Stage, file: Path) -> None:
    to = ("--connect-to", "::docker1.lab.lab:9443", "--cacert", str(file.parent / "certificates/app.crt"))
    answered_by(stage, "https://app.example/", {"app1"}, *to)
    assert stage.get("https://app.elsewhere/", "-k", *to)[0] == 0, "a name that is not in the file gets nowhere"
    answered_by(stage, "http://docker1.lab.lab:9080/", {"app1"})
    assert stage.get("http://docker1.lab.lab:9081/")[0] == 503, "the member's certificate is for another name"
    assert stage.get("http://docker1.lab.lab:9443/")[0] == 0, "nor does plain text"


def http(stage: Stage, file: Path) -> None:
    url = "http://docker1.lab.lab:8083"
    answered_by(stage, f"{url}/", {"page1", "page2"})
    head = stage.curl("-i", f"{url}/api/x").stdout
    assert "strict-transport-security: max-age=31536000" in head
    assert "cache-control: no-store" in head
    assert "x-request-id: " in head
    assert "location: http://www.shop.example/a" in stage.curl("-i", "-H", "Host: shop.example", f"{url}/a").stdout
    assert stage.get(f"{url}/admin")[0] == 403


def sticky(stage: Stage, file: Path) -> None:
    shop, jar = "http://docker1.lab.lab:8084/", ("-b", f"{stage.folder}/jar", "-c", f"{stage.folder}/jar")
    answered_by(stage, shop, {"cart1", "cart2"})
    first = stage.get(shop, *jar)[1]
    assert "CART" in Path(jar[1]).read_text()
    assert {stage.get(shop, *jar) for _ in range(6)} == {(200, first)}
    feed = "http://docker1.lab.lab:8085/"
    eventually(partial(is_answered_by_any, stage, feed, ("cart1", "cart2")), f"{feed} answers")
    assert len({stage.get(feed) for _ in range(6)}) == 1
    home, other = ("docker2", "cart2") if first == "cart1" else ("docker3", "cart1")
    stage.lab.docker(home, "stop", first)
    assert {stage.get(shop, *jar) for _ in range(6)} == {(200, other)}, "a member that stopped loses its clients"
    stage.lab.docker(home, "start", first)
    answered_by(stage, shop, {"cart1", "cart2"})
    assert {stage.get(shop, *jar) for _ in range(6)} == {(200, other)}, "who moved stays where it is now"


def canary(stage: Stage, file: Path) -> None:
    url = "http://docker1.lab.lab:8086/"
    answered_by(stage, url, {"canary1"}, "-H", "X-Version: next")
    eventually(lambda: stage.get(url)[1] == "stable1", f"{url} is answered")
    with stage.load(url, rate=400, connections=4) as load:
        load.observe(5)
    assert load.report.failed == 0, str(load.report)
    share = load.report.served_by("canary1") / load.report.sent
    assert 0.07 < share < 0.13, f"one in ten of {load.report.sent}: {share:.3f}"
    stage.edit(file, "percent: 10", "percent: 100")
    stage.up(file)
    answered_by(stage, url, {"canary1"})


def waf(stage: Stage, file: Path) -> None:
    url = "http://docker1.lab.lab:8087"
    answered_by(stage, f"{url}/", {"app1", "app2"})
    attack = "?x=%3Cscript%3Ealert(1)%3C/script%3E"
    asked = {path: stage.get(f"{url}{path}{attack}")[0] for path in ("/", "/reports", "/files", "/internal")}
    assert asked == {"/": 403, "/reports": 200, "/files": 200, "/internal": 403}
    (row,) = stage.status(file)["firewalls"]
    assert row["works"]
    # What `up` tried by itself is counted, and is not among what is told.
    told = [(each["action"], each["path"]) for each in row["state"]["last"]]
    assert told == [("refused", "/"), ("would refuse", "/reports"), ("refused", "/internal")]


PROMISES: dict[str, Callable[[Stage, Path], None]] = {
    "01-overlay": overlay,
    "02-published": published,
    "03-one-host": one_host,
    "04-own-address": own_address,
    "05-routes": routes,
    "06-https": https,
    "07-client-certificates": client_certificates,
    "08-passthrough": passthrough,
    "09-http": http,
    "10-sticky": sticky,
    "11-canary": canary,
    "12-waf": waf,
}


def make_files(file: Path) -> None:
    """Run what an example's comments say about files beside it."""
    for line in file.read_text().splitlines():
        if line.startswith(FILES):
            subprocess.run(shlex.split(line.removeprefix("#")), cwd=file.parent, check=True, capture_output=True)


def answered_by(stage: Stage, url: str, names: set[str], *words: str) -> None:
    """Within a while exactly these answer there, and nothing else but them."""

    def answers() -> set[tuple[int, str]]:
        return {stage.get(url, *words) for _ in range(2 * len(names))}

    eventually(lambda: {body for _, body in answers()} == names, f"{url} is answered by {sorted(names)}")


def is_answered_by_any(stage: Stage, url: str, names: tuple[str, ...]) -> bool:
    return stage.get(url)[1] in names


def member_commands(file: Path) -> list[tuple[str, list[str]]]:
    """The commands in an example's comments that start its members: the host, and the words after docker."""
    lines = [line.removeprefix(MEMBER) for line in file.read_text().splitlines() if line.startswith(MEMBER)]
    commands = []
    for line in lines:
        host, _, command = line.partition(" -- ")
        program, *words = shlex.split(command)
        assert program == "docker", line
        commands.append((host, words))
    return commands


@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_does_what_it_says(stage: Stage, name: str) -> None:
    assert name in PROMISES, f"examples/{name} has no expectation: add one to PROMISES"
    file = stage.example(name)
    make_files(file)
    assert "is fine: project " in stage.dockgate("check", file).stdout
    stage.up(file)
    commands = member_commands(file)
    assert commands, f"examples/{name} does not say how its members are started"
    for host, words in commands:
        stage.members.append((host, words[words.index("--name") + 1]))
        stage.lab.docker(host, *words)
    stage.up(file)
    PROMISES[name](stage, file)
    assert "nothing to do" in stage.plan(file)
    for host, member in stage.members:
        stage.lab.docker(host, "rm", "-f", member)
    stage.dockgate("down", file)
    assert ours(stage.lab, load_file(file).desired.project) == set()


def test_every_expectation_has_its_example() -> None:
    assert sorted(PROMISES) == FOLDERS
