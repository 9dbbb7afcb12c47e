"""HAProxy's messages, as both versions write them, against the user's file."""

from __future__ import annotations

import pytest

from dockgate.haproxy.messages import explain
from dockgate.model.actions import HaproxyConfig
from dockgate.model.source import Source

CONFIG = HaproxyConfig(
    text="# by dockgate\n\nfrontend web-80\n    bind :80\nbackend b\n    server a x:80\n",
    structure="",
    origins=(None, None, Source("dockgate.yaml", 7, 3), None, None, Source("dockgate.yaml", 12, 5)),
)


@pytest.mark.parametrize(
    "output",
    [
        "[ALERT]    (1) : config : [/etc/haproxy/candidate.cfg:6] : 'server b/a' : weight is wrong.",
        "[ALERT]    (1) : config : parsing [/etc/haproxy/candidate.cfg:6] : 'server b/a' : weight is wrong.",
        "[ALERT]    (1) : parsing [/etc/haproxy/candidate.cfg:6]: 'server b/a' : weight is wrong.",
    ],
)
def test_a_message_with_a_place_is_told_at_the_line_that_caused_it(output: str) -> None:
    assert explain(output, CONFIG) == ("dockgate.yaml:12:5: HAProxy says: 'server b/a' : weight is wrong.",)


@pytest.mark.parametrize("prefix", ["config : ", ""])
def test_a_message_that_names_a_section_is_told_where_the_section_comes_from(prefix: str) -> None:
    output = f"[ALERT]    (1) : {prefix}Proxy 'web-80': unable to find required default_backend: 'gone'."
    said = "Proxy 'web-80': unable to find required default_backend: 'gone'."
    assert explain(output, CONFIG) == (f"dockgate.yaml:7:3: HAProxy says: {said}",)


def test_a_line_that_the_file_did_not_cause_is_told_with_the_line_of_haproxy_cfg() -> None:
    output = "[WARNING]  (1) : config : parsing [/etc/haproxy/candidate.cfg:4] : odd."
    assert explain(output, CONFIG) == ("haproxy.cfg:4: HAProxy says: odd.",)


def test_servers_without_an_address_yet_are_no_finding() -> None:
    said = "[WARNING]  (1) : config : 'server b/a' : We generated two equal cookies for two different servers."
    assert explain(said, CONFIG) == ()


def test_a_message_without_a_place_is_told_as_it_is() -> None:
    assert explain("[ALERT]    (1) : config : no memory", CONFIG) == ("HAProxy says: no memory",)


def test_notices_and_the_closing_summary_are_left_out() -> None:
    output = """\
[NOTICE]   (28741) : haproxy version is 3.0.11-1+deb13u3
[NOTICE]   (28741) : path to executable is /usr/sbin/haproxy
[ALERT]    (28741) : config : Error(s) found in configuration file : /etc/haproxy/candidate.cfg
[ALERT]    (28741) : config : Fatal errors found in configuration.
[ALERT]    (28741) : Fatal errors found in configuration.
   | While not properly invalid, you will certainly encounter various problems
"""
    assert explain(output, CONFIG) == ()
