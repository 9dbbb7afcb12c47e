"""The file's reference for users (docs/reference.md), made from the JSON Schema, never by hand.

``python -m dockgate.spec.reference > docs/reference.md``. What this page says is what an editor says and what
``dockgate check`` says, because all three come from the same models.
"""

from __future__ import annotations

from dockgate.spec.document import MAX_BYTES, MAX_NODES
from dockgate.spec.jsonschema import Schema, json_schema
from dockgate.spec.rules import CHECK_PATH, NAME, PROJECT, URL_PATH

_SECTIONS = (
    ("HostSpec", "hosts.NAME"),
    ("NetworkSpec", "networks.NAME"),
    ("VipSpec", "vips.NAME"),
    ("ListenSpec", "vips.NAME.listen[]"),
    ("SniSpec", "vips.NAME.listen[].sni[]"),
    ("TlsSpec", "vips.NAME.listen[].tls"),
    ("CertificateSpec", "vips.NAME.listen[].tls.certificates[]"),
    ("ClientCertificatesSpec", "vips.NAME.listen[].tls.clients"),
    ("RouteSpec", "vips.NAME.routes[]"),
    ("MaintenanceSpec", "vips.NAME.maintenance"),
    ("ErrorSpec", "vips.NAME.http.errors[]"),
    ("HeaderMatchSpec", "vips.NAME.routes[].header"),
    ("ClientsSpec", "vips.NAME.clients, vips.NAME.routes[].clients"),
    ("VipHttpSpec", "vips.NAME.http"),
    ("RouteHttpSpec", "vips.NAME.routes[].http"),
    ("HeadersSpec", "vips.NAME.http.request_headers, vips.NAME.http.response_headers"),
    ("RateLimitSpec", "vips.NAME.http.rate_limits[]"),
    ("AuthSpec", "vips.NAME.http.auth"),
    ("UserSpec", "vips.NAME.http.auth.users[]"),
    ("ConnectionsSpec", "vips.NAME.connections"),
    ("RedirectSpec", "vips.NAME.http.redirects[]"),
    ("WafSpec", "vips.NAME.waf"),
    ("ExclusionSpec", "vips.NAME.waf.exclusions[]"),
    ("StatsSpec", "vips.NAME.stats"),
    ("SecretSpec", "vips.NAME.stats.password"),
    ("VipTimeoutsSpec", "vips.NAME.timeouts"),
    ("PoolSpec", "pools.NAME"),
    ("MembersTlsSpec", "pools.NAME.tls"),
    ("MemberSpec", "pools.NAME.members[], pools.NAME.published[]"),
    ("ServiceSpec", "pools.NAME.service"),
    ("LabelsSpec", "pools.NAME.labels"),
    ("EndpointSpec", "pools.NAME.endpoints[]"),
    ("StickySpec", "pools.NAME.sticky"),
    ("CheckSpec", "pools.NAME.check"),
    ("PoolTimeoutsSpec", "pools.NAME.timeouts"),
    ("HaproxySpec", "haproxy"),
    ("NodeSpec", "node"),
    ("WafImageSpec", "waf"),
    ("FirewallSpec", "firewall"),
    ("FirewallRuleSpec", "firewall.allow[], firewall.reject[], firewall.drop[]"),
)

_HEAD = f"""<!-- Made by `python -m dockgate.spec.reference > docs/reference.md`. Do not edit. -->
# dockgate.yaml

`dockgate check` reads the file alone, asks no host, and names every problem with its line and column. An editor that
understands JSON Schema completes and checks it while you type; for the YAML language server, make this the first line:

```yaml
# yaml-language-server: $schema=schema/dockgate.schema.json
```

with the path to that file in a checkout of dockgate. A complete file:

```yaml
hosts:
  docker1: {{engine: "unix:///var/run/docker.sock", address: 192.168.50.11}}
  docker2: {{engine: "ssh://ops@docker2.example.org"}}

networks:
  backend: {{driver: overlay, internal: true}}

vips:
  web:
    hosts: [docker1]
    listen: [{{port: 80}}]
    pool: site
    routes: [{{path: /api, pool: api}}]
    stats: {{path: /lbstats, user: ops, password: {{file: secrets/lbstats}}}}

pools:
  site: {{network: backend, port: 80, members: [web1, web2]}}
  api: {{endpoints: ["docker2:8080"], check: {{path: /healthy, expect: 200}}}}
```

## Values

- **Names** of hosts, networks, VIPs, pools and containers: {NAME.words}; at most
  {NAME.longest} characters. They stand in HAProxy's configuration and in Docker's names, so nothing that either of
  them reads as syntax is accepted.
- **The project's name**: {PROJECT.words}; at most {PROJECT.longest} characters.
- **Times** carry their unit: `300ms`, `5s`, `2m`, `1h`; from `1ms` to `24h`.
- **Paths** of routes and of the statistics page: {URL_PATH.words}.
- **Paths of checks**: {CHECK_PATH.words}.
- **Addresses** are IPv4 for now.
- **Secrets** never stand in the file: `{{file: secrets/name}}` (relative to this file's folder; its last line break
  does not count) or `{{env: NAME}}`.

Of YAML, plain mappings, lists and values are read, and aliases (`*name`) of whole values. Tags, merge keys (`<<`), keys
written twice and several documents are refused, and so is a file of more than {MAX_BYTES // 1024} KiB or
{MAX_NODES:,} values.
"""

_TAIL = """
## What belongs together

`dockgate check` also refuses what no single key can be blamed for:

- a port that two VIPs want on one host: give both an address of their own, or change a port;
- a VIP's address that another VIP or a host has, that lies in one of the file's networks, or that is to be on several
  hosts;
- a pool used by HTTP and by TCP ports;
- members by name on a bridge that several hosts would have to share: a bridge exists on each host by itself;
- routes that match the same requests, or that can never be used;
- the same member or place twice in one pool.
"""


def render() -> str:
    """The page as Markdown."""
    schema = json_schema()
    parts = [_HEAD, "\n## The file\n", *_table(schema, schema["$defs"])]
    for name, title in _SECTIONS:
        definition = schema["$defs"][name]
        parts += [f"\n## {title}\n", f"{definition['description']}\n", *_table(_long_form(definition), schema["$defs"])]
    return "\n".join(parts) + "\n" + _TAIL


def _long_form(definition: Schema) -> Schema:
    """The mapping, where a single value may stand for it."""
    options: list[Schema] = definition.get("anyOf", [definition])
    return options[-1]


def _table(definition: Schema, definitions: Schema) -> list[str]:
    required = definition.get("required", [])
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for key, value in definition["properties"].items():
        default = "**needed**" if key in required else _default(value)
        meaning = (value.get("description") or _described(value, definitions)).replace("|", "\\|")
        rows.append(f"| `{key}` | {_kind(value)} | {default} | {meaning} |")
    return rows


def _described(value: Schema, definitions: Schema) -> str:
    """A key whose description would only repeat that of what it holds has none of its own."""
    return str(definitions[value["$ref"].rpartition("/")[2]]["description"])


def _default(value: Schema) -> str:
    default = value.get("default")
    if default is None:
        return ""
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def _kind(value: Schema) -> str:
    """What may stand there, in a few words."""
    if "$ref" in value:
        return _linked(value["$ref"])
    if "enum" in value:
        return ", ".join(f"`{option}`" for option in value["enum"])
    if "anyOf" in value:
        return " or ".join(_kind(option) for option in value["anyOf"])
    if "const" in value:
        return f"`{str(value['const']).lower()}`"
    if value["type"] == "array":
        return f"list of {_kind(value['items'])}"
    if value["type"] == "object":
        return f"name → {_kind(value['additionalProperties'])}"
    if value["type"] == "integer":
        return f"{value['minimum']} to {value['maximum']}"
    return {"string": "text", "boolean": "`true`, `false`", "null": "nothing"}[value["type"]]


def _linked(reference: str) -> str:
    title = next(title for name, title in _SECTIONS if reference.endswith(f"/{name}"))
    anchor = "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
    return f"[{title.split(',')[0]}](#{anchor})"


if __name__ == "__main__":
    print(render(), end="")
