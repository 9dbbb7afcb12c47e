"""Properties of configurations, runtime changes and their model over generated files."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.strategies import desireds

from dockgate.haproxy.build import ResolvedServer, build
from dockgate.haproxy.model import apply, fresh
from dockgate.haproxy.render import render
from dockgate.haproxy.runtime import changes, inverse
from dockgate.haproxy.tree import Config
from dockgate.haproxy.words import word
from dockgate.model.desired import ByName, Check, Desired, Endpoints, Membership, Published, Vip

_texts = st.text(
    st.characters(min_codepoint=32, exclude_characters="\u2028\u2029", exclude_categories=("Cs", "Cc")), max_size=40
)
_places = st.one_of(st.none(), st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.sampled_from([80, 32768])))


# Drawing a file may cost a password hash, which is slow by design.
few = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def files(draw: st.DrawFn) -> tuple[Desired, Vip]:
    """A file and one of its VIPs."""
    desired = draw(desireds().filter(lambda desired: desired.vips))
    return desired, draw(st.sampled_from(desired.vips))


@st.composite
def places(draw: st.DrawFn, desired: Desired) -> dict[str, tuple[ResolvedServer, ...]]:
    """What an engine could say of every published member."""
    found = {}
    for pool in desired.pools:
        if isinstance(pool.membership, Published):
            drawn = [(member, draw(_places)) for member in pool.membership.members]
            found[pool.name] = tuple(
                ResolvedServer(member.name, place[0] if place else None, place[1] if place else 0, member.weight)
                for member, place in drawn
            )
    return found


@st.composite
def two_moments(draw: st.DrawFn) -> tuple[Config, Config]:
    """One file, published members here and there, and other weights."""
    desired, vip = draw(files())
    weight = draw(st.integers(0, 256))
    heavier = replace(
        desired, pools=tuple(replace(p, membership=_weighing(p.membership, weight)) for p in desired.pools)
    )
    return build(desired, vip, draw(places(desired))), build(heavier, vip, draw(places(heavier)))


def _weighing(membership: Membership, weight: int) -> Membership:
    match membership:
        case ByName(members):
            return ByName(tuple(replace(member, weight=weight) for member in members))
        case Published(members):
            return Published(tuple(replace(member, weight=weight) for member in members))
        case Endpoints(endpoints):
            return Endpoints(tuple(replace(endpoint, weight=weight) for endpoint in endpoints))
    return membership


@few
@given(files())
def test_the_same_file_gives_the_same_bytes(file: tuple[Desired, Vip]) -> None:
    assert render(build(*file, {})) == render(build(*file, {}))
    assert render(build(*file, {})).text == render(build(*file, {})).text


@given(_texts)
def test_a_word_is_read_back_as_it_was(value: str) -> None:
    assert _read_as_haproxy(word(value)) == [value]


@few
@given(files(), _texts)
def test_no_value_adds_a_line_or_a_word(file: tuple[Desired, Vip], value: str) -> None:
    desired, vip = file

    def with_path(path: str) -> list[int]:
        pools = tuple(replace(pool, check=Check(path=path)) for pool in desired.pools)
        text = render(build(replace(desired, pools=pools), vip, {})).text
        return [len(_read_as_haproxy(line)) for line in text.splitlines() if not line.startswith("#")]

    assert with_path(f"/{value}") == with_path("/")


@few
@given(two_moments())
def test_weights_and_places_of_published_members_need_no_reload(moments: tuple[Config, Config]) -> None:
    before, after = moments
    assert render(before).structure == render(after).structure


@few
@given(two_moments())
def test_changes_reach_the_configuration_and_their_inverse_leads_back(moments: tuple[Config, Config]) -> None:
    before, after = moments
    running = start = fresh(before, version="3.2")
    undo = []
    for change in changes(after, start):
        undo.append(inverse(change, running))
        running = apply(change, running)
    assert changes(after, running) == ()
    for change in reversed(undo):
        running = apply(change, running)
    assert changes(before, running) == ()


def _read_as_haproxy(line: str) -> list[str]:
    """HAProxy's own way of reading a line (doc/configuration.txt 2.2), for what ``word`` may write: bare characters,
    single quotes, and a backslash before a quote."""
    words: list[str] = []
    current: str | None = None
    at = 0
    while at < len(line):
        char = line[at]
        if char == "'":
            end = line.index("'", at + 1)
            current = (current or "") + line[at + 1 : end]
            at = end
        elif char == "\\":
            at += 1
            current = (current or "") + line[at]
        elif char == " ":
            words += [current] if current is not None else []
            current = None
        else:
            assert char not in '#"$'
            current = (current or "") + char
        at += 1
    return [*words, *([current] if current is not None else [])]
