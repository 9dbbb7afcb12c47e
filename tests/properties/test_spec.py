"""What may be relied on of the file's reader, over generated files and over anything else that may be in one."""

from __future__ import annotations

import io
import re
import time
from dataclasses import asdict
from typing import Any, Literal

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from tests.http_files import clients, connection_limits, header_values, route_http, vip_http, waf
from tests.strategies import PASSWORD, desireds

from dockgate.model.desired import ByLabel, ByName, ByService, Check, Desired, Endpoints, Pool, Published, Vip
from dockgate.spec import Loaded, SecretText, SpecError, load
from dockgate.spec.schema import milliseconds

RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))
LONGEST_S = 10.0
"""Not a measurement: a bound that only something super-linear would break."""

SECRET = "Tr0ub4dor-and-3"


def read_secret(kind: Literal["file", "env"], name: str) -> SecretText:
    return SecretText(PASSWORD)


def load_text(content: str | bytes) -> Loaded:
    return load(content, file="dockgate.yaml", project="shop", read_secret=read_secret)


def as_file(desired: Desired) -> str:
    """``desired`` as its user would write it, every key given."""
    document = {
        "project": desired.project,
        "hosts": {host.name: {"engine": host.engine, "address": host.address} for host in desired.hosts},
        "networks": {
            network.name: _given(
                driver=network.driver, internal=network.internal, subnet=network.subnet, mtu=network.mtu
            )
            for network in desired.networks
        },
        "pools": {pool.name: _pool(pool) for pool in desired.pools},
        "vips": {vip.name: _vip(vip) for vip in desired.vips},
        "haproxy": {"version": desired.images.haproxy_version, "image": desired.images.haproxy},
        "node": {"image": desired.images.node},
    }
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, out)
    return out.getvalue()


def _given(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _pool(pool: Pool) -> dict[str, object]:
    return {
        **_membership(pool),
        **_given(network=pool.network, port=pool.port or None, balance=pool.balance),
        "check": _check(pool.check) if pool.check else False,
        "timeouts": {key: milliseconds(value) for key, value in asdict(pool.timeouts).items()},
        "retry_non_idempotent": pool.retry_non_idempotent,
        **_given(send_proxy=pool.send_proxy, retries=pool.retries),
    }


def _membership(pool: Pool) -> dict[str, object]:
    match pool.membership:
        case ByName(members):
            return {"members": [{"name": member.name, "weight": member.weight} for member in members]}
        case Published(members):
            return {"published": [{"name": member.name, "weight": member.weight} for member in members]}
        case ByService(service, maximum):
            return {"service": {"name": service, "maximum": maximum}}
        case ByLabel(maximum):
            return {"labels": {"maximum": maximum}}
        case Endpoints(endpoints):
            return {"endpoints": [{"endpoint": f"{e.address}:{e.port}", "weight": e.weight} for e in endpoints]}


def _check(check: Check) -> dict[str, object]:
    timing = {
        "kind": check.kind,
        "interval": milliseconds(check.interval_ms),
        "timeout": milliseconds(check.timeout_ms),
        "fall": check.fall,
        "rise": check.rise,
    }
    if check.kind == "tcp":
        return timing
    request = _given(method=check.method, path=check.path, version=check.version, host=check.host, expect=check.expect)
    return timing | request


def _vip(vip: Vip) -> dict[str, object]:
    http = any(listen.mode == "http" for listen in vip.listens)
    stats = {"path": vip.stats.path, "user": vip.stats.user, "password": {"env": "PASSWORD"}} if vip.stats else None
    timeouts = {key: milliseconds(value) for key, value in asdict(vip.timeouts).items() if http or key == "client"}
    return _given(
        hosts=list(vip.hosts),
        address=vip.address,
        listen=[
            _given(port=listen.port, mode=listen.mode, pool=listen.pool, accept_proxy=listen.accept_proxy)
            for listen in vip.listens
        ],
        routes=[
            _given(host=r.host, path=r.path, pool=r.pool, clients=clients(r.clients), http=route_http(r.http))
            for r in reversed(vip.routes)
        ]
        or None,
        clients=clients(vip.clients),
        connections=connection_limits(vip.connections),
        log=vip.log,
        trusted_proxies=list(vip.trusted_proxies) or None,
        http=vip_http(vip.http) if http else None,
        stats=stats,
        timeouts=timeouts,
        waf=waf(vip.waf),
    )


@RELAXED
@given(desireds())
def test_a_valid_file_says_exactly_what_was_written_into_it(desired: Desired) -> None:
    assert load_text(as_file(desired)).desired == desired


@RELAXED
@given(desireds())
def test_the_same_file_gives_the_same_bytes(desired: Desired) -> None:
    text = as_file(desired)
    assert repr(load_text(text)) == repr(load_text(text))


def outcome(content: str | bytes) -> Loaded | SpecError:
    """What reading gives. Anything but a result or a ``SpecError`` fails the test, and so does taking long: in time of
    the processor, for others may use the machine."""
    began = time.process_time()
    result = attempt(content)
    assert time.process_time() - began < LONGEST_S
    if isinstance(result, SpecError):
        assert result.problems
        assert all(problem.source.file == "dockgate.yaml" for problem in result.problems)
        assert all("\n" not in str(problem) for problem in result.problems)
    return result


def attempt(content: str | bytes) -> Loaded | SpecError:
    try:
        return load_text(content)
    except SpecError as error:
        return error


@settings(RELAXED, max_examples=2 * RELAXED.max_examples)
@given(st.binary(max_size=200) | st.text(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"%YAML 9.9\n---\na: 1\n")
@example(b"? [a]\n: b\n")
@example(b"&a : *a\n")
@example(b"&a [*a]")
@example(b"vips: &x {a: *x}")
@example(b"? &k a\n: b\n*k : c\n")
@example(b"a: !!python/object/apply:os.system [ls]\n")
@example(b"a: 0x\nb: 1e9999\nc: .inf\nd: 1:30\n")
def test_no_bytes_raise_anything_but_a_spec_error(content: bytes | str) -> None:
    outcome(content)


_words = ["a", "vips", "pools", "hosts", "null", "~", "1", "1.0", "é", "\\", "\x85"]
_signs = [":", ": ", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "<<", "!!x ", "'", '"']
_odd = ["|", ">", "#", " #", "%", "@", "\t", "? ", "---\n", "..."]
_pieces = st.sampled_from(_words + _signs + _odd)


@settings(RELAXED, max_examples=2 * RELAXED.max_examples)
@given(st.lists(_pieces, max_size=40).map("".join))
def test_no_pieces_of_yaml_raise_anything_but_a_spec_error(text: str) -> None:
    outcome(text)


@st.composite
def mutated_files(draw: st.DrawFn) -> str:
    """A valid file in which some places were cut out, doubled, or replaced by something that bites."""
    text = as_file(draw(desireds()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = (
            text[:start] + draw(st.sampled_from(["", text[start:end] * 2]) | _pieces | st.text(max_size=5)) + text[end:]
        )
    return text


@settings(RELAXED, max_examples=2 * RELAXED.max_examples)
@given(mutated_files())
def test_no_mutation_of_a_valid_file_raises_anything_but_a_spec_error(text: str) -> None:
    outcome(text)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)


def paths(value: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in nested data but the root."""
    entries: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    return [path for key, inner in entries for path in ((*here, key), *paths(inner, (*here, key)))]


@st.composite
def misshapen_files(draw: st.DrawFn) -> str:
    """A valid file in which values were replaced by values of any other shape, or keys renamed."""
    document = YAML(typ="safe", pure=True).load(as_file(draw(desireds())))
    for _ in range(draw(st.integers(1, 3))):
        places = paths(document)
        path = draw(st.sampled_from(places))
        inside = document
        for part in path[:-1]:
            inside = inside[part]
        if isinstance(inside, dict) and draw(st.booleans()):
            inside[draw(st.text(max_size=8))] = inside.pop(path[-1])
        else:
            inside[path[-1]] = draw(ANYTHING)
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, out)
    return out.getvalue()


@settings(RELAXED, max_examples=2 * RELAXED.max_examples)
@given(misshapen_files())
def test_no_value_of_another_shape_raises_anything_but_a_spec_error(text: str) -> None:
    outcome(text)


HOSTILE = st.text(st.sampled_from(" '\"#%$\\\n\r\t\0;{}[]éa-_."), min_size=1, max_size=12) | st.text(
    min_size=1, max_size=80
)
HARMLESS = re.compile(r"[A-Za-z0-9_./:@*?=~!+,;&$-]*")


def strings(value: object) -> list[str]:
    """Every text inside nested data, mapping keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list | tuple) else []


@settings(RELAXED, max_examples=2 * RELAXED.max_examples)
@given(desireds(), HOSTILE, st.data())
def test_no_hostile_text_gets_into_what_the_file_asks_for(desired: Desired, hostile: str, data: st.DataObject) -> None:
    document = YAML(typ="safe", pure=True).load(as_file(desired))
    path = data.draw(st.sampled_from(paths(document)))
    inside = document
    for part in path[:-1]:
        inside = inside[part]
    if isinstance(inside, dict) and data.draw(st.booleans(), label="as a key"):
        inside[hostile] = inside.pop(path[-1])
    else:
        inside[path[-1]] = hostile
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, out)
    result = outcome(out.getvalue())
    if isinstance(result, Loaded):
        free = header_values(result.desired)
        assert all(re.fullmatch(r"[\x20-\x7e]+", text) for text in free)
        texts = [text for text in strings(asdict(result.desired)) if text not in free]
        assert all(HARMLESS.fullmatch(text) for text in texts if "(built in)" not in text)


@RELAXED
@given(
    st.sampled_from(
        ["{secret}", "[{secret}]", "{{value: {secret}}}", "{{file: {{a: {secret}}}}}", "{{env: '{secret} x'}}"]
    )
)
def test_a_secret_in_the_file_is_never_repeated(form: str) -> None:
    password = form.format(secret=SECRET)
    text = f"vips: {{w: {{listen: [{{port: 1}}], stats: {{path: /s, user: u, password: {password}}}}}}}\n"
    result = outcome(text)
    assert isinstance(result, SpecError)
    assert SECRET not in str(result)
    assert SECRET not in repr(result.problems)


def test_a_large_file_full_of_mistakes_is_read_in_bounded_time() -> None:
    pool = "  p{}: {{network: n, port: 80, members: [web1, web 2], chek: tcp}}\n"
    text = "pools:\n" + "".join(pool.format(number) for number in range(5000))
    result = outcome(text)
    assert isinstance(result, SpecError)
    assert result.omitted > 0
