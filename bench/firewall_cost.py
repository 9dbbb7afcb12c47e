"""What the firewall costs for 10, 1,000 and 10,000 exposed services: python -m bench.firewall_cost (root)

Beside it the same policy as linear iptables rules (``dockgate firewall show --as iptables``, given to
iptables-restore) and no rules at all. In each round all three are loaded into the same router, in an order that
alternates; each is loaded onto nothing, then replaced whole, and then packets pass: first ones of new connections to
services chosen at random, and those of one established connection. All of them must come out at the other end, or the
run fails.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.firewall_stage import CLIENT, HOST, Stage, run, segment
from bench.firewall_world import FIRST_HOST_PORT, desired, facts

from dockgate.firewall import compile_ruleset, complete, render, render_iptables

AT_ONCE = 100
"""Packets of one measurement; the median of many is told, so that what else runs here hardly shows."""
FIRST_SPORT, MOST_PACKETS = 2000, 63_000
_TABLES = ("raw", "filter")


@dataclass
class Found:
    """What was measured of one kind of rules, one value for each round: seconds, and microseconds for each packet."""

    first_s: list[float] = field(default_factory=list)
    replace_s: list[float] = field(default_factory=list)
    replace_cpu_s: list[float] = field(default_factory=list)
    new_us: list[float] = field(default_factory=list)
    established_us: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Rules:
    """Ways to say the same: the commands that take each text. No texts: no rules."""

    name: str
    texts: tuple[tuple[tuple[str, ...], str], ...] = ()


def rules_for(services: int) -> tuple[Rules, ...]:
    policy, here = complete(desired(services)), facts(services)
    began = time.process_time()
    ruleset = compile_ruleset(policy, here)
    compiled = time.process_time()
    text = render(ruleset)
    rendered, tables = time.process_time(), len(ruleset.sets) + len(ruleset.maps)
    print(
        f"{services:,} services: compiled in {compiled - began:.2f} s and rendered in {rendered - compiled:.2f} s of"
        f" processor time; {len(ruleset.chains):,} chains, {tables} sets and maps, {len(text) / 1e6:.1f} MB"
    )
    linear = render_iptables(policy, here)
    return (
        Rules("no rules"),
        Rules("dockgate", ((("nft", "-f", "-"), text),)),
        Rules("iptables", tuple(((f"{word}-restore",), restored(linear, word)) for word in ("iptables", "ip6tables"))),
    )


def restored(commands: str, word: str) -> str:
    """The commands of a family as one text for its restore, which replaces its tables whole."""
    made: dict[str, list[str]] = {table: [] for table in _TABLES}
    for line in (line for line in commands.splitlines() if line.startswith(f"{word} ")):
        rest = line.removeprefix(f"{word} ")
        table = "raw" if rest.startswith("-t raw ") else "filter"
        rest = rest.removeprefix("-t raw ")
        made[table].append(f":{rest.removeprefix('-N ')} - [0:0]" if rest.startswith("-N ") else rest)
    return "".join(f"*{table}\n" + "".join(f"{line}\n" for line in _sorted(made[table])) + "COMMIT\n" for table in made)


def _sorted(lines: Sequence[str]) -> Iterator[str]:
    """Chains first."""
    yield from (line for line in lines if line.startswith(":"))
    yield from (line for line in lines if not line.startswith(":"))


def clear(stage: Stage) -> None:
    """No rules of either kind."""
    for table in ("inet dockgate", *(f"{family} {table}" for family in ("ip", "ip6") for table in _TABLES)):
        stage.inside("router", "nft", "-f", "-", feed=f"table {table}\ndelete table {table}\n")


def measure(stage: Stage, rules: Rules, found: Found, frames: Sequence[bytes], sport: int) -> None:
    clear(stage)
    for kept in (found.first_s, found.replace_s) if rules.texts else ():
        times = [stage.timed(*command, feed=text) for command, text in rules.texts]
        kept.append(sum(took for took, _ in times))
        if kept is found.replace_s:
            found.replace_cpu_s.append(sum(cpu for _, cpu in times))
    found.new_us.append(through(stage, frames))
    found.established_us.append(through(stage, [stage.establish(0, sport)] * len(frames)))


def through(stage: Stage, frames: Sequence[bytes]) -> float:
    """Microseconds a packet; all of them must arrive."""
    before = stage.arrived()
    costs = stage.cost(frames, at_once=AT_ONCE)
    if stage.arrived() - before != len(frames):
        raise SystemExit(
            f"{len(frames)} packets were sent and {stage.arrived() - before} arrived: nothing was measured"
        )
    return median(costs)


def bench(services: int, rounds: int, packets: int) -> dict[str, Found]:
    kinds, found = rules_for(services), defaultdict[str, Found](Found)
    chance, stage = random.Random(services), Stage(services)
    try:
        stage.up()
        for turn in range(rounds):
            for place, rules in enumerate(kinds if turn % 2 == 0 else kinds[::-1]):
                number = turn * len(kinds) + place
                sports = range(FIRST_SPORT + number * packets, FIRST_SPORT + (number + 1) * packets)
                frames = [asking(sport, chance.randrange(services)) for sport in sports]
                measure(stage, rules, found[rules.name], frames, 1000 + number)
    finally:
        stage.down()
    return found


def asking(sport: int, service: int) -> bytes:
    """The first frame of a connection; each port is used once in a run, so that no connection is an old one."""
    return segment((CLIENT, sport), (HOST, FIRST_HOST_PORT + service), 0x02, (1000, 0))


def table(found: dict[str, Found]) -> None:
    base = found["no rules"]
    print(f"{'':<10}{'first load':>22}{'replace':>22}{'cpu':>8}{'new':>23}{'established':>21}")
    for name, each in found.items():
        loads = f"{_s(each.first_s):>22}{_s(each.replace_s):>22}{_cpu(each):>8}"
        print(f"{name:<10}{loads}{_us(each.new_us):>23}{_us(each.established_us):>21}")
    for name in ("dockgate", "iptables"):
        more = median(found[name].new_us) - median(base.new_us)
        again = median(found[name].established_us) - median(base.established_us)
        print(f"  {name}: {more:+.2f} us for a new connection's packet, {again:+.2f} us for an established one's")
    print()


def _s(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f}) s" if values else "-"


def _us(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f}) us"


def _cpu(each: Found) -> str:
    return f"{median(each.replace_cpu_s):.2f} s" if each.replace_cpu_s else "-"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, nargs="*", default=[10, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--packets", type=int, default=4000)
    options = parser.parse_args()
    if options.rounds * options.packets * 3 > MOST_PACKETS:
        parser.error(f"rounds x packets x 3 must be at most {MOST_PACKETS}: each connection has a port of its own")
    for command in (("nft", "--version"), ("iptables", "--version"), ("uname", "-r")):
        print(run(*command).strip())
    for services in options.services:
        table(bench(services, options.rounds, options.packets))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
