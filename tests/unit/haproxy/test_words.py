"""One value, one word: nothing from the user's file ends a word or a line, or is expanded."""

from __future__ import annotations

import pytest

from dockgate.haproxy import words
from dockgate.haproxy.words import encode


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("web1:80", "web1:80"),
        ("%ci", "%ci"),
        ("two words", "'two words'"),
        ("a#b", "'a#b'"),
        ('say "x"', "'say \"x\"'"),
        ("it's", "'it'\\''s'"),
        ("back\\slash", "'back\\slash'"),
        ("$HOME", "'$HOME'"),
        ("", "''"),
        ("näme", "'näme'"),
    ],
)
def test_a_value_is_quoted_where_haproxy_would_read_more_into_it(value: str, text: str) -> None:
    assert words.word(value) == text


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a\tb", "\x7f", "a\x85b", "a\u2028b"])
def test_control_characters_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        words.word(value)


@pytest.mark.parametrize("value", ["unix@/run/x", "fd@3", "a b", "", "-a", "a:80", "a/b", "ä", "_srv", "$X"])
def test_a_server_is_reached_by_name_or_address_only(value: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        words.host(value)


def test_names_that_haproxy_cannot_read_stay_apart() -> None:
    made = [words.name(each) for each in ("a b", "a_b", "a#b")]
    assert made[1] == "a_b"
    assert len(set(made)) == 3


def test_a_lone_brace_is_no_pattern() -> None:
    with pytest.raises(ValueError, match="not a pattern"):
        words.pattern("}")


def test_a_percent_sign_means_itself_in_a_format() -> None:
    assert words.literal_format("%[src]") == "%%[src]"


def test_bytes_are_encoded_so_that_nothing_in_them_is_syntax() -> None:
    said = encode(b"a 'b' \"c\" #d\n$E %[f] \\x41 \xff")
    assert said == r"a\x20\x27b\x27\x20\x22c\x22\x20\x23d\x0a\x24E\x20\x25\x5bf\x5d\x20\x5cx41\x20\xff"
    with pytest.raises(ValueError, match="NUL"):
        encode(b"a\0b")
