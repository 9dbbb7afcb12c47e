"""Schema of the web application firewall: what ``waf`` of a VIP may hold. Descriptions are what users read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dockgate.model.waf import Waf

from . import rules as values
from . import rules_http, rules_waf
from .schema_base import Model, ShortModel, milliseconds, optional


class ExclusionSpec(Model):
    """Rules that are wrong about an application: at all, below a path, or there for one argument."""

    rules: list[rules_waf.RuleIds] = Field(description='Ids, and spans of them like `"942100-942199"`.')
    path: values.UrlPath | None = optional("Only for this path and what is below it, by whole segments.")
    argument: rules_waf.Argument | None = optional("Only this argument of a request is not looked at by them.")


class WafSpec(ShortModel):
    """A web application firewall: the OWASP Core Rule Set on ModSecurity. `on` or `detect` alone is enough."""

    short = "mode"

    mode: Literal["on", "detect", "off"] = Field(
        default=Waf.mode,
        description="`on`: attacks get 403. `detect`: they are let through, and told in the log. `off`: only routes "
        "with a mode of their own are looked at.",
    )
    paranoia: rules_waf.Paranoia | None = optional(
        "How many rules: from `1`, hardly ever wrong, to `4`, which needs exclusions.", Waf.paranoia
    )
    threshold: rules_waf.Threshold | None = optional(
        "The score from which a request is refused; a critical rule counts 5.", Waf.threshold
    )
    processes: rules_waf.Processes | None = optional("How many requests are judged at once.", Waf.processes)
    fail: Literal["closed", "open"] = Field(
        default=Waf.fail,
        description="What becomes of a request that nobody judged in time: `closed`: 503; `open`: it is let through.",
    )
    timeout: values.Duration | None = optional("How long a judgement may take.", milliseconds(Waf.timeout_ms))
    body_limit: rules_waf.BodyLimit | None = optional(
        "How much of a request's body is looked at, `1KB` to `1MB`.", rules_http.size(Waf.body_limit)
    )
    oversize: Literal["refuse", "pass"] = Field(
        default=Waf.oversize,
        description="What becomes of a larger body: `refuse`: 413; `pass`: its beginning is judged.",
    )
    exclusions: list[ExclusionSpec] = Field(default_factory=list, description="Rules that are not to be used.")
    rules: values.SecretFile | None = optional(
        "A folder beside this file with a rule set instead of Debian's: an unpacked release of the OWASP Core Rule "
        "Set, 3.3 or 4, with `crs-setup.conf` (or `.example`) and `rules/`."
    )
    own_rules: list[values.SecretFile] = Field(
        default_factory=list,
        description="Files beside this one with rules of your own (`.conf`) and lists that they look up (`.data`).",
    )
