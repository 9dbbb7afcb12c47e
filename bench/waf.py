"""What a firewall costs: the same VIP asked with and without it, in turns, by a few clients that wait for each answer.

With examples/12-waf up in the lab and its members started, whose /files nobody looks at:

    dockgate lab exec client -- .venv/bin/python -m bench.waf 192.168.50.11 8087
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

BODY = "&".join(f"field{number}=some+words+that+nobody+minds+{number}" for number in range(24))
HEADERS = {"User-Agent": "bench", "Accept": "*/*", "Host": "site.example"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KINDS = {
    "GET, not looked at": ("GET", "/files/x?q=harmless", ""),
    "GET, judged": ("GET", "/x?q=harmless", ""),
    "POST of 1 KB, not looked at": ("POST", "/files/x", BODY),
    "POST of 1 KB, judged": ("POST", "/x", BODY),
}


def asked(host: str, port: int, kind: tuple[str, str, str], until: float, times: list[float]) -> int:
    """One client: how many other answers than 200 it got."""
    method, path, body = kind
    connection = http.client.HTTPConnection(host, port, timeout=30)
    bad = 0
    while time.monotonic() < until:
        began = time.monotonic()
        connection.request(method, path, body=body or None, headers={**HEADERS, **(FORM if body else {})})
        answer = connection.getresponse()
        answer.read()
        times.append(time.monotonic() - began)
        bad += answer.status != 200
    connection.close()
    return bad


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in KINDS}
    bad = dict.fromkeys(KINDS, 0)
    lock = threading.Lock()

    def client(name: str, until: float) -> None:
        mine: list[float] = []
        wrong = asked(options.host, options.port, KINDS[name], until, mine)
        with lock:
            times[name] += mine
            bad[name] += wrong

    for _ in range(options.rounds):
        for name in KINDS:
            until = time.monotonic() + options.seconds
            with ThreadPoolExecutor(options.clients) as pool:
                list(pool.map(client, [name] * options.clients, [until] * options.clients))
    for name, told in times.items():
        rate = len(told) / (options.seconds * options.rounds)
        p50, p99 = statistics.median(told) * 1000, statistics.quantiles(told, n=100)[98] * 1000
        print(f"{name:30} {rate:7.0f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  other than 200: {bad[name]}")


if __name__ == "__main__":
    main()
