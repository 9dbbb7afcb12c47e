"""How much memory a judge takes over many requests, each of another client, with other arguments; some are attacks.

For the inside of the firewall's container, whose programs are all it needs: ``python3 - 100000 < bench/waf_memory.py``.
"""

from __future__ import annotations

import sys

sys.path.insert(0, "/usr/local/lib/dockgate")

import dockgate_spop as spop
from dockgate_judge import Judge, Talk
from dockgate_modsecurity import Engine

RULES = (
    "/usr/local/lib/dockgate/engine.conf",
    "/etc/modsecurity/crs/crs-setup.conf",
    "/usr/share/modsecurity-crs/rules/REQUEST-9*.conf",
)


def resident_kb() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def question(number: int) -> spop.Message:
    headers = [(b"host", b"site.example"), (b"user-agent", f"client-{number % 5000}".encode()), (b"accept", b"*/*")]
    attack = "%3Cscript%3Ealert(1)%3C/script%3E" if number % 20 == 0 else f"value{number}"
    return spop.Message(
        "check",
        {
            "mode": "on",
            "id": f"r{number}",
            "client": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "client_port": 40000,
            "server": "10.0.0.1",
            "server_port": 80,
            "method": "GET",
            "uri": f"/page/{number}?q={attack}",
            "version": "1.1",
            "headers": spop.write_headers(headers),
            "body": b"",
        },
    )


def main(count: int) -> None:
    import glob

    engine = Engine()
    engine.load(file for pattern in RULES for file in sorted(glob.glob(pattern)))
    judge, talk = Judge(engine, lambda _: None), Talk(greeted=True)
    for number in range(count):
        frame = spop.Frame(spop.NOTIFY, number, 1, spop.write_message(question(number)))
        judge.hear(talk, spop.write_frame(frame))
        assert talk.going
        assert not talk.ends
        talk.going.clear()
        if number % (count // 10) == count // 10 - 1 or number == 999:
            print(number + 1, resident_kb(), "KB", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
