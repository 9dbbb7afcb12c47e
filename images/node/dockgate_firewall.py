"""The firewall in the node container: rule sets kept on the host's own disk, loaded, watched and put back.

    dockgate_firewall.py VERB JSON     one JSON answer on standard output and exit code 0; else {"error"} and 1
    dockgate_firewall.py hold          the container's main process: as dockgate_node.py hold, with a guard beside it
    dockgate_firewall.py guard         load what is kept, take back what nobody confirmed, restore what was lost

    state      {} -> what this host's kernel and our folder hold (``state`` below)
    flows      {places: [{place, network}]} -> {flows, own}: the connections that the kernel tracks there
    apply      {hash, limit_s, confirm} -> {flows, own, missing}; the rules are in candidate-HASH.json: checked by nft,
               put on trial, loaded, and the connections under ``cut`` in that file forgotten at once; the trial ends by
               itself after limit_s seconds, and the kept rules come back
    cut        [{place, protocol, source, destination, sport, dport}] -> {cut}: forget these connections
    keep       {} -> {kept}: what is on trial is kept
    revert     {} -> {kept}: back to what is kept; nothing kept means no table
    remove     {} -> {}: no table of ours any more, nothing kept

The folder is a volume of this container: kept.json and trial.json are only ever replaced whole. Whoever changes
anything holds the lock, so that a verb and the guard never meet half-way. Invariants: what is loaded is either what is
kept or what is on trial; a table that we did not load is never replaced; a namespace is never held open.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dockgate_engine
import dockgate_node

FOLDER = Path("/var/lib/dockgate")
TABLE = ("inet", "dockgate")
PROC = Path("/proc")
PAUSE_S = 0.25
TOLD_S = 0.05
NETLINK_NETFILTER = 12
INET = 1
NEW_GENERATION = 0x0A0F
MOST_CHANGES = 10_000
MOST_GAPS = 20
FLOW_FAMILIES = ("ipv4", "ipv6")
PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6")
"""Whose connections can be cut one by one."""
CannotDo = dockgate_node.CannotDo

Place = dict[str, str]
"""``place``: "host" or an overlay's name; ``network``: the overlay's id, "" for the host; ``text``: what nft takes."""


# --- namespaces


def host_dockerd(proc: Path = PROC) -> int:
    """The process id of the Docker engine of this network namespace, 0 when none is seen."""
    own = os.stat(proc / "self/ns/net").st_ino
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() == "dockerd" and os.stat(entry / "ns/net").st_ino == own:
                return int(entry.name)
        except OSError:
            continue
    return 0


def namespace_of(network: str) -> Path | None:
    """The file that stands for an overlay's namespace on this host, None while it has none here.

    libnetwork names it EPOCH-ID, cut to 12 characters, in the engine's own mount namespace. A namespace that is gone
    can leave an ordinary file behind.
    """
    pid = host_dockerd()
    folder = PROC / str(pid) / "root/run/docker/netns"
    if not pid or not folder.is_dir():
        return None
    for file in sorted(folder.iterdir()):
        epoch, _, short = file.name.partition("-")
        if epoch.isdigit() and short and network.startswith(short) and _is_namespace(file):
            return file
    return None


def _is_namespace(file: Path) -> bool:
    try:
        return os.stat(file).st_dev == os.stat(PROC / "self/ns/net").st_dev
    except FileNotFoundError:
        return False


@contextmanager
def inside(file: Path | None) -> Iterator[None]:
    """In that network namespace; None is the host's own, where we are already."""
    if file is None:
        yield
        return
    with (PROC / "self/ns/net").open() as home, file.open() as there:
        os.setns(there.fileno(), os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(home.fileno(), os.CLONE_NEWNET)


def namespaces(places: Sequence[Place]) -> Iterator[tuple[Place, Path | None]]:
    """Each place that exists on this host now."""
    for place in places:
        file = namespace_of(place["network"]) if place["network"] else None
        if file is not None or not place["network"]:
            yield place, file


# --- nft


def nft(*argv: str, feed: str = "") -> str:
    done = subprocess.run(["nft", *argv], input=feed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotDo(f"nft {' '.join(argv)}: {done.stderr.strip()[:2000]}")
    return done.stdout


def fingerprint() -> str:
    """What our table is in the kernel now, without its counters; "" when there is none."""
    done = subprocess.run(["nft", "-s", "list", "table", *TABLE], capture_output=True, text=True, check=False)
    return hashlib.sha256(done.stdout.encode()).hexdigest() if done.returncode == 0 else ""


def exists() -> bool:
    """Whether there is a table of our name, without a look at what is in it."""
    return f"table {' '.join(TABLE)}" in nft("list", "tables").splitlines()


def generation() -> int:
    """The kernel's number for the rules of this namespace: it changes with every change of any table."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as asker:
        asker.settimeout(2)
        asker.bind((0, 0))
        asker.send(struct.pack("=IHHIIBBH", 20, 0x0A10, 1, 1, 0, 0, 0, 0))
        answer = asker.recv(4096)
    length, kind = struct.unpack_from("=IH", answer)
    if kind != NEW_GENERATION or length < 28:
        raise CannotDo("the kernel did not tell the generation of its rules")
    return int(struct.unpack_from("!I", answer, 24)[0])


# --- the folder


class Store:
    """Our folder. ``prints``: for each namespace of this boot, what we loaded and what the table then looked like."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.boot = boot()

    @contextmanager
    def locked(self, name: str = "lock") -> Iterator[None]:
        with (self.folder / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CannotDo(f"{self.folder / name} is not JSON: {error}") from error

    def write(self, name: str, value: Any) -> None:
        fresh = self.folder / f"{name}.new"
        with fresh.open("w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self.folder / name)

    def drop(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def trial(self) -> Any:
        """What is on trial and not over; one of an earlier boot is over."""
        trial = self.read("trial.json")
        if trial is None or trial["boot"] != self.boot or now() >= trial["deadline"]:
            return None
        return trial

    def wanted(self) -> Any:
        return self.trial() or self.read("kept.json")

    def prints(self) -> dict[str, list[str]]:
        prints = self.read("prints.json") or {}
        return dict(prints.get(self.boot, {}))

    def note_print(self, where: str, text: str, seen: str) -> None:
        self.write("prints.json", {self.boot: {**self.prints(), where: [text, seen]}})

    def note_gap(self, place: str, seconds: float, why: str) -> None:
        gaps = [*(self.read("gaps.json") or []), {"at": time.time(), "place": place, "seconds": seconds, "why": why}]
        self.write("gaps.json", gaps[-MOST_GAPS:])


def boot() -> str:
    """This start of this host. Where hosts share a kernel, the network namespace tells two starts apart."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip() + f"-{current()}"


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# --- enforcing


def load(store: Store, place: Place, file: Path | None) -> None:
    """Replace the table there, whole, unless it is that one; never one that somebody else loaded."""
    text = hashlib.sha256(place["text"].encode()).hexdigest()
    with inside(file):
        where = current()
        known = store.prints().get(where)
        if known is None and exists():
            raise CannotDo(
                f"{place['place']}: there already is a table {' '.join(TABLE)} that this project did not load;"
                " if no other project owns it: nft delete table inet dockgate"
            )
        if known is not None and known[0] == text and intact(store):
            return
        store.note_print(where, text, "")
        nft("-f", "-", feed=place["text"])
        store.note_print(where, text, fingerprint())


def current() -> str:
    """The network namespace that we are in."""
    return str(os.stat(PROC / "thread-self/ns/net").st_ino)


def intact(store: Store) -> bool:
    """Whether the table here is the one that we loaded."""
    known = store.prints().get(current())
    return known is not None and bool(known[1]) and fingerprint() == known[1]


def unload(store: Store, file: Path | None) -> None:
    with inside(file):
        if current() in store.prints() and exists():
            nft("delete", "table", *TABLE)


def enforce(store: Store) -> list[str]:
    """Make every place as it is wanted; the overlays that are not on this host. Call it with the lock."""
    wanted, trial, kept = store.wanted(), store.read("trial.json"), store.read("kept.json")
    here = {place["place"]: (place, file) for place, file in namespaces(wanted["places"] if wanted else [])}
    for place, file in here.values():
        load(store, place, file)
    for old in (trial, kept):
        for place, file in namespaces(old["places"] if old else []):
            if place["place"] not in here:
                unload(store, file)
    return sorted({place["place"] for place in (wanted["places"] if wanted else [])} - set(here))


def end_trial(store: Store) -> None:
    """Back to what is kept. The file goes last: whoever dies before leaves a trial that the guard ends."""
    trial = store.read("trial.json")
    if trial is not None:
        store.write("trial.json", {**trial, "deadline": 0})
        enforce(store)
        store.drop("trial.json")


# --- verbs


def state(request: Any) -> dict[str, Any]:
    store = Store()
    trial, kept = store.trial(), store.read("kept.json")
    wanted = trial or kept
    places = []
    for place, file in namespaces(wanted["places"] if wanted else [{"place": "host", "network": "", "text": ""}]):
        with inside(file):
            places.append(
                {
                    "place": place["place"],
                    "in_force": bool(wanted) and intact(store),
                    "foreign": current() not in store.prints() and exists(),
                    "bridge_filter": bridge_filter(),
                }
            )
    return {
        "lan": lan_prefixes(),
        "bridge_filter": bridge_filter(),
        "legacy": legacy_tables(),
        "kept": kept["hash"] if kept else "",
        "trial": trial["hash"] if trial else "",
        "confirm": bool(trial and trial["confirm"]),
        "left_s": round(trial["deadline"] - now(), 1) if trial else 0.0,
        "places": places,
        "engine": dockgate_engine.state(host_dockerd()),
        "gaps": store.read("gaps.json") or [],
    }


def live(request: Any) -> dict[str, Any]:
    return {"flows": [flow for place in request["places"] for flow in flows(place)], "own": own()}


def apply(request: Any) -> dict[str, Any]:
    store = Store()
    with store.locked():
        name = f"candidate-{request['hash']}.json"
        candidate = store.read(name)
        if candidate is None:
            raise CannotDo(f"there is no {name}: somebody else is at work here")
        doomed = candidate.pop("cut", [])
        for place in candidate["places"]:
            nft("-c", "-f", "-", feed=place["text"])
        limit = {"boot": store.boot, "deadline": now() + float(request["limit_s"]), "confirm": bool(request["confirm"])}
        store.write("trial.json", {**candidate, **limit})
        store.drop(name)
        try:
            missing = enforce(store)
        except CannotDo:
            end_trial(store)
            raise
        forget(doomed)
        return {**live(candidate), "missing": missing}


def cut(request: Any) -> dict[str, Any]:
    return {"cut": forget(request)}


def forget(request: Sequence[dict[str, str]]) -> int:
    done = 0
    places = {"host": None, **{flow["place"]: namespace_of(flow["network"]) for flow in request if flow["network"]}}
    for flow in request:
        with inside(places[flow["place"]]):
            done += _forget(flow)
    return done


def _forget(flow: dict[str, str]) -> int:
    argv = [
        "conntrack",
        "-D",
        "-f",
        flow["family"],
        "-p",
        flow["protocol"],
        "-s",
        flow["source"],
        "-d",
        flow["destination"],
    ]
    if flow["protocol"] in ("tcp", "udp"):
        argv += ["--sport", flow["sport"], "--dport", flow["dport"]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "0 flow entries" not in done.stderr:
        raise CannotDo(f"{' '.join(argv)}: {done.stderr.strip()}")
    return int(done.returncode == 0)


def keep(request: Any) -> dict[str, Any]:
    store = Store()
    with store.locked():
        trial = store.trial()
        if trial is None:
            raise CannotDo("there are no rules on trial: their time is over, and the kept ones are back")
        store.write("kept.json", {"hash": trial["hash"], "places": trial["places"]})
        store.drop("trial.json")
        return {"kept": trial["hash"]}


def revert(request: Any) -> dict[str, Any]:
    store = Store()
    with store.locked():
        end_trial(store)
        kept = store.read("kept.json")
        return {"kept": kept["hash"] if kept else ""}


def remove(request: Any) -> dict[str, Any]:
    store = Store()
    with store.locked():
        for name in ("trial.json", "kept.json"):
            held = store.read(name)
            for _, file in namespaces(held["places"] if held else []):
                unload(store, file)
        for name in ("trial.json", "kept.json", "gaps.json", "prints.json"):
            store.drop(name)
    return {}


# --- what the kernel knows


def lan_prefixes() -> list[str]:
    """Prefixes of the interfaces behind which other machines may be."""
    facing = {interface.name for interface in dockgate_node.read_interfaces() if interface.lan_facing}
    return sorted({prefix for name, prefix, _ in _addresses() if name in facing})


def own() -> list[str]:
    """Every address of this host."""
    return sorted({address for _, _, address in _addresses()})


def _addresses() -> Iterator[tuple[str, str, str]]:
    """Interface, prefix and address; no link-local ones."""
    done = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotDo(f"ip address: {done.stderr.strip()}")
    for link in json.loads(done.stdout):
        for entry in link.get("addr_info", ()):
            if entry.get("scope") == "link":
                continue
            network = dockgate_node.ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}").network
            yield link["ifname"], str(network), entry["local"]


def bridge_filter() -> bool:
    """Whether the kernel shows packets within one bridge of this namespace to the rules, of both families."""
    folder = PROC / "sys/net/bridge"
    names = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")
    return all((folder / name).exists() and (folder / name).read_text().strip() != "0" for name in names)


def legacy_tables() -> list[str]:
    """Tables of the old iptables, which nft neither shows nor traces."""
    found = []
    for name in ("ip_tables_names", "ip6_tables_names"):
        try:
            found += [f"{name.partition('_')[0]} {line}" for line in (PROC / "net" / name).read_text().split()]
        except OSError:
            continue
    return found


def flows(place: Place) -> Iterator[dict[str, str]]:
    """Connections that the kernel tracks there: who began, what was asked for, and who answers."""
    for _, file in namespaces([place]):
        for family in FLOW_FAMILIES:
            with inside(file):
                done = subprocess.run(["conntrack", "-L", "-f", family], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CannotDo(f"conntrack -L: {done.stderr.strip()}")
            for line in done.stdout.splitlines():
                flow = flow_of(line)
                if flow is not None:
                    yield {"place": place["place"], "network": place["network"], "family": family, **flow}


def flow_of(line: str) -> dict[str, str] | None:
    """A line of ``conntrack -L``: the first address pair is as it came in, the second as the answer comes back."""
    words = line.split()
    if not words or words[0] not in PROTOCOLS:
        return None
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    for word in words[1:]:
        key, sign, value = word.partition("=")
        if sign and key in ("src", "dst", "sport", "dport", "type"):
            (second if key in first else first)[key] = value
    if "src" not in second:
        return None
    return {
        "protocol": words[0],
        "source": first["src"],
        "destination": first["dst"],
        "sport": first.get("sport", "0"),
        "dport": first.get("dport", "0"),
        "type": first.get("type", "0"),
        "server": second["src"],
        "server_port": second.get("sport", "0"),
    }


# --- the guard


class Changes:
    """What the kernel says of every change of rules in the namespace in which this was made.

    A listing of a large table takes seconds, and Docker changes its own rules all the time. So those generations are
    remembered that left our table alone. What was not heard, or not to its end, is never among them.
    """

    def __init__(self, events: socket.socket) -> None:
        self.events = events
        self.others: set[int] = set()
        self._ours = self._deaf = False

    def spared(self, before: int, after: int) -> bool:
        """Whether no change after ``before`` up to ``after`` was one of our table. The kernel counts first and tells
        then, so the last may be waited for."""
        self.listen(0.0)
        if after not in self.others:
            self.listen(TOLD_S)
        heard = before <= after and all(number in self.others for number in range(before + 1, after + 1))
        self.others = {number for number in self.others if number > after}
        return heard

    def listen(self, seconds: float) -> None:
        """Read what there is, after waiting so long for the first of it."""
        if not select.select([self.events], [], [], seconds)[0]:
            return
        while True:
            try:
                self.read(self.events.recv(1 << 18))
            except BlockingIOError:
                # What was not told may end in the next message.
                self._ours, self._deaf = self._ours or self._deaf, False
                return
            except OSError:  # too much happened to be told
                self._deaf = True

    def read(self, data: bytes) -> None:
        """Messages of one or more transactions; each ends with its generation."""
        at = 0
        while at + 20 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if length < 20:
                break
            if kind == NEW_GENERATION:
                if not self._ours and not self._deaf and len(self.others) < MOST_CHANGES:
                    self.others.add(int(struct.unpack_from("!I", data, at + 24)[0]))
                self._ours = False
            elif not self._ours:
                self._ours = names_us(data[at : at + length])
            at += (length + 3) & ~3


def names_us(message: bytes) -> bool:
    """Whether a message about a table, a chain, a rule, a set, elements or an object is about our table: the name of
    the table is the first of the attributes of all of them. One that names no table may be about ours."""
    at = 20
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        if kind & 0x3FFF == 1:
            family, name = message[16], message[at + 4 : at + length].rstrip(b"\0").decode(errors="replace")
            return family == INET and name == TABLE[1]
        at += (length + 3) & ~3
    return True


class Guard:
    """Watches that what is wanted is in force. ``seen``: by namespace, the kernel's generation at which it was, the
    rules that were wanted then, and when that was last looked at. ``changes``: those of the host's own namespace."""

    def __init__(self, store: Store, changes: Changes) -> None:
        self.store = store
        self.changes = changes
        self.seen: dict[str, tuple[int, str, float]] = {}

    def turn(self) -> None:
        with self.store.locked():
            trial = self.store.read("trial.json")
            if trial is not None and self.store.trial() is None:
                end_trial(self.store)
            wanted = self.store.wanted()
            for place, file in namespaces(wanted["places"] if wanted else []):
                self._watch(place, file, wanted["hash"])

    def _watch(self, place: Place, file: Path | None, wanted: str) -> None:
        with inside(file):
            where, number = current(), generation()
            before = self.seen.get(where)
            same = before is not None and before[1] == wanted and self._untouched(file, before[0], number)
            lost = not same and not intact(self.store)
        if lost:
            load(self.store, place, file)
            self._record(place, before, file)
            with inside(file):
                number = generation()
        self.seen[where] = (number, wanted, now())

    def _untouched(self, file: Path | None, before: int, number: int) -> bool:
        """Whether our table is as it was at that generation, as far as can be told without a look at it."""
        return before == number or (file is None and self.changes.spared(before, number))

    def _record(self, place: Place, before: tuple[int, str, float] | None, file: Path | None) -> None:
        if before is not None:
            self.store.note_gap(place["place"], round(now() - before[2], 3), "somebody removed or changed them")
        elif file is None:
            self.store.note_gap(
                place["place"],
                round(now() - first_container_start(), 3),
                "from the first container's start until loaded",
            )


def first_container_start() -> float:
    """When the oldest container of this host started, on the same clock as ``now``: its containerd-shim began then."""
    oldest = now()
    for entry in PROC.iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().startswith("containerd-shim"):
                ticks = int((entry / "stat").read_text().rpartition(")")[2].split()[19])
                oldest = min(oldest, ticks / os.sysconf("SC_CLK_TCK"))
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    return oldest


def hold() -> int:
    """Until SIGTERM (0), or until the guard ends, which it never does by itself (1): then Docker starts us again."""
    if not FOLDER.is_dir():  # without the volume there is nothing to guard
        return 0 if dockgate_node.hold() else 1
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    with subprocess.Popen([sys.executable, __file__, "guard"], stdin=subprocess.DEVNULL) as guarding:
        told = dockgate_node.hold(ends_with=guarding.pid)
        guarding.kill()
    return 0 if told else 1


def guard() -> None:
    """Never returns. One at a time: while a container takes over from another, the second waits for the first."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    store = Store()
    with store.locked("guard.lock"), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as events:
        events.bind((0, 1 << 6))
        events.setblocking(False)
        guarding = Guard(store, Changes(events))
        said = ""
        while True:
            try:
                guarding.turn()
                said = ""
            except (CannotDo, OSError) as error:
                if str(error) != said:
                    print(f"firewall: {error}", file=sys.stderr, flush=True)
                said = str(error)
            guarding.changes.listen(PAUSE_S)


VERBS: dict[str, Callable[[Any], Any]] = {
    "state": state,
    "flows": live,
    "apply": apply,
    "cut": cut,
    "keep": keep,
    "revert": revert,
    "remove": remove,
}


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["hold"]:
        return hold()
    if list(arguments) == ["guard"]:
        guard()
    try:
        if len(arguments) != 2 or arguments[0] not in VERBS:
            raise CannotDo(f"usage: dockgate_firewall.py hold | guard | {' | '.join(sorted(VERBS))} JSON")
        answer = VERBS[arguments[0]](json.loads(arguments[1]))
    except (CannotDo, OSError, ValueError, KeyError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(answer, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
