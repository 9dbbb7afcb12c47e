"""The framing of HAProxy's protocol: any bytes, in any pieces."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.text(st.characters(max_codepoint=255), max_size=300),
    st.binary(max_size=300),
)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
KINDS = st.sampled_from([1, 2, 3, 101, 102, 103, 77])


@given(number=st.integers(0, 2**64 - 1))
def test_a_number_is_read_as_it_was_written(spop: ModuleType, number: int) -> None:
    frame = spop.Frame(spop.NOTIFY, number, 1, b"")
    assert spop.read_frame(spop.write_frame(frame)[4:]).stream == number


@pytest.mark.parametrize(
    ("number", "bytes_"), [(239, b"\xef"), (240, b"\xf0\x00"), (2287, b"\xff\x7f"), (2288, b"\xf0\x80\x00")]
)
def test_numbers_are_written_as_haproxy_writes_them(spop: ModuleType, number: int, bytes_: bytes) -> None:
    assert spop.write_number(number) == bytes_


@given(pairs=st.dictionaries(NAMES, VALUES, max_size=6))
def test_pairs_are_read_as_they_were_written(spop: ModuleType, pairs: dict[str, object]) -> None:
    assert spop.read_pairs(spop.write_pairs(pairs)) == pairs
    assert spop.read_variables(spop.write_variables(pairs)) == pairs
    assert spop.read_messages(spop.write_message(spop.Message("check", pairs))) == [spop.Message("check", pairs)]


@given(headers=st.lists(st.tuples(st.binary(min_size=1, max_size=30), st.binary(max_size=300)), max_size=8))
def test_headers_are_read_as_they_were_written(spop: ModuleType, headers: list[tuple[bytes, bytes]]) -> None:
    assert spop.read_headers(spop.write_headers(headers)) == headers


@given(
    frames=st.lists(
        st.tuples(KINDS, st.integers(0, 2**40), st.integers(0, 2**40), st.binary(max_size=400)), max_size=5
    ),
    cuts=st.lists(st.integers(0, 2500), max_size=12),
)
def test_frames_come_whole_however_their_bytes_are_split(
    spop: ModuleType, frames: list[tuple[int, int, int, bytes]], cuts: list[int]
) -> None:
    sent = [spop.Frame(*each) for each in frames]
    stream = b"".join(spop.write_frame(each) for each in sent)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = spop.Reader()
    got = [frame for a, b in pairwise(places) for frame in reader.feed(stream[a:b])]
    assert got == sent
    assert not reader.waiting


def test_a_frame_over_the_agreed_size_is_refused_before_it_is_waited_for(spop: ModuleType) -> None:
    with pytest.raises(spop.Broken, match="more than 1000"):
        list(spop.Reader(1000).feed((1001).to_bytes(4, "big")))


@given(data=st.binary(max_size=500))
def test_garbage_is_broken_and_nothing_worse(spop: ModuleType, data: bytes) -> None:
    for read in (spop.read_frame, spop.read_pairs, spop.read_messages, spop.read_variables, spop.read_headers):
        try:
            read(data)
        except spop.Broken:
            continue


def test_a_number_that_does_not_end_is_broken(spop: ModuleType) -> None:
    with pytest.raises(spop.Broken, match="does not end"):
        spop.read_pairs(b"\xff" * 40)
