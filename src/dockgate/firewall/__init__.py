"""The firewall: the file's policy and one host's facts → a rule set, and an independent word on what it must do.

``derive`` completes the policy, ``facts`` says what compiling needs to know of a host, ``compile`` makes the rule set
as a typed tree, ``render`` and ``iptables`` write it down. ``evaluate`` judges a flow by the policy alone and
``ruleset_eval`` by the compiled tree alone; that both agree is what the property tests prove. ``host_rules`` is all
that one host loads, and ``live`` judges the connections it has. Pure: no I/O here, and nothing in this package puts a
rule into a kernel.
"""

from .compile import compile_ruleset
from .derive import complete
from .evaluate import Decision, Flow, evaluate
from .facts import HostFacts, address_of, host_facts, overlay_facts
from .iptables import render_iptables
from .render import render

__all__ = [
    "Decision",
    "Flow",
    "HostFacts",
    "address_of",
    "compile_ruleset",
    "complete",
    "evaluate",
    "host_facts",
    "overlay_facts",
    "render",
    "render_iptables",
]
