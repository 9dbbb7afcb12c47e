"""YAML's syntax: what is read, what is refused, and where it says so."""

from __future__ import annotations

import pytest
from tests.unit.spec.reading import VALID, changed, desired, problem, problems

from dockgate.spec.document import MAX_BYTES

REFUSED = {
    "an empty file": ("", "f:1:1: the file is empty; begin with 'vips:' (see docs/reference.md)"),
    "a file of comments only": ("# nothing\n", "f:1:1: the file is empty"),
    "a file of nothing but null": ("~\n", "f:1:1: the file is empty"),
    "a list at the top": ("- a\n", "f:1:1: the file must be a mapping of keys to values"),
    "plain text": ("hello\n", "f:1:1: the file must be a mapping of keys to values"),
    "a tab that indents": ("vips:\n\tweb: {}\n", "f:2:1: a tab stands where YAML wants spaces; indent with spaces"),
    "a quote never closed": ('vips: "a\n', "f:2:1: a quote is opened and never closed; close it"),
    "a bracket never closed": ("vips: [\n", "f:2:1: the file ends inside a '[' or '{'; close it"),
    "a missing colon": ("vips:\n  web\n  pool: x\n", "f:3:7: a ':' stands where no key can be"),
    "a line that does not fit in": ("vips: {}\n pools: {}\n", "f:2:2: this line does not fit in with the lines above"),
    "a value that begins with @": ("vips: @a\n", "f:1:7: a value cannot begin with this character"),
    "two documents": ("vips: {}\n---\nvips: {}\n", "f:2:1: a second document begins here; keep one document"),
    "an alias without anchor": ("vips: *a\n", "f:1:7: the alias *a stands for nothing"),
    "an alias inside itself": ("vips: &a [*a]\n", "f:1:11: the alias *a stands inside what it stands for"),
    "a key that is a list": ("? [a]\n: b\n", "f:1:3: a key must be plain text; write 'key: value'"),
    "a NUL byte": (b"vips: {}\npools: \0", "f:2:8: a NUL byte cannot stand in the file"),
    "an escape character": (b"vips: {}\n# \x1b[31m", "f:2:3: the control character U+001B cannot stand in the file"),
    "a line break that editors do not count": ("vips: {}\x85a", "f:1:9: the control character U+0085"),
    "bytes that are not UTF-8": (b"vips: {}\n# caf\xe9\n", "f:2:6: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "UTF-16": ("vips: {}\n".encode("utf-16"), "f:1:1: the file is UTF-16; save it as UTF-8"),
    "ten megabytes": (b"#" * 10_000_000, f"f:1:1: the file has 10,000,000 bytes, more than the {MAX_BYTES:,}"),
    "deep nesting": ("[" * 200_000, "f:1:18: this is nested more than 16 levels deep"),
    "deep nesting by indentation": (
        "".join(" " * n + "a:\n" for n in range(60)),
        "f:18:18: this is nested more than 16",
    ),
    "an unknown YAML directive's text": ("%FOO\nvips\n", "f:"),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_refuses(content: str | bytes, said: str) -> None:
    assert problem(content).startswith(said)


def test_names_both_places_of_a_key_written_twice() -> None:
    said = problem(VALID + "networks: {}\n")
    assert said == "f:13:1: the key 'networks' stands here a second time; the first is in line 4; keep one of the two"


def test_refuses_a_tag_without_running_it() -> None:
    said = problems(VALID + "project: !!python/object/apply:os.system [ls]\n")
    assert any("f:13:10: the tag" in line and "is not read; write the plain value" in line for line in said)


def test_refuses_a_merge_key() -> None:
    said = problem(changed("{driver: overlay}", "{<<: {internal: true}, driver: overlay}"))
    assert said.startswith("f:5:10: merge keys (<<) are not read")


def test_takes_an_alias_for_what_it_stands_for() -> None:
    text = changed("{network: back, port: 80,", "{network: back, port: 80, check: &check {path: /up},")
    loaded = desired(text + "  other: {network: back, port: 81, members: [a], check: *check}\n")
    assert loaded.pool("other").check == loaded.pool("site").check


def test_says_for_each_use_what_is_wrong_in_an_anchored_value() -> None:
    text = changed("{network: back, port: 80,", "{network: back, port: 80, check: &check {paht: /up},")
    said = problems(text + "  other: {network: back, port: 81, members: [a], check: *check}\n")
    assert [line.partition(": ")[0] for line in said] == ["f:12:50", "f:12:50"]


def test_stops_before_a_billion_laughs() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "stands for more than 50,000 values" in problem("\n".join(lines))


def test_reads_a_file_with_a_byte_order_mark_and_windows_line_ends() -> None:
    assert desired("\ufeff" + VALID.replace("\n", "\r\n")).project == "shop"


def test_counts_columns_in_characters_after_a_byte_order_mark() -> None:
    assert problem(b"\xef\xbb\xbfvisp: {}\n").startswith("f:1:1: unknown key 'visp'")


def test_reports_what_stands_before_and_after_a_duplicate_key() -> None:
    said = problems("visp: {}\nvips: {}\nvips: {}\nposl: {}\n")
    assert [line.partition(": ")[0] for line in said] == ["f:1:1", "f:3:1", "f:4:1"]
