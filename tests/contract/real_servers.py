"""Five servers that people run, as members behind a VIP: Apache, gunicorn, lighttpd, nginx, Node.js of Debian trixie.

Each runs in a chroot of one file system, in this process' network, serves ``/victim.txt`` and ``/smuggled.txt`` (whose
content is their name), and logs the first line of every request that it saw. Ends only what it started.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.contract.haproxy_process import DEADLINE_S

from dockgate.lab.rootfs import Recipe

SERVERS = Recipe(
    name="servers",
    suite="trixie",
    packages=("apache2-bin", "gunicorn", "lighttpd", "nginx-light", "nodejs"),
    variant="apt",
)
PAGES = ("victim", "smuggled", "check")

NGINX = """\
user nobody nogroup;
worker_processes 1;
pid /tmp/nginx.pid;
error_log /tmp/nginx.error;
events {}
http {
  log_format first '$request';
  access_log /tmp/nginx.log first;
  default_type text/plain;
  server { listen ADDRESS:8080; root /srv/pages; }
}
"""
APACHE = """\
ServerRoot /srv
ServerName apache
PidFile /tmp/apache.pid
DefaultRuntimeDir /tmp
Mutex file:/tmp
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
Listen ADDRESS:8080
User nobody
Group nogroup
ErrorLog /tmp/apache.error
LogFormat "%r" first
CustomLog /tmp/apache.log first
DocumentRoot /srv/pages
"""
LIGHTTPD = """\
server.document-root = "/srv/pages"
server.bind = "ADDRESS"
server.port = 8080
server.username = "nobody"
server.groupname = "nogroup"
server.modules = ("mod_accesslog")
server.errorlog = "/tmp/lighttpd.error"
accesslog.filename = "/tmp/lighttpd.log"
accesslog.format = "%r"
mimetype.assign = (".txt" => "text/plain")
"""
GUNICORN = """\
def app(environ, start):
    body = environ["wsgi.input"].read(1 << 20)
    name = environ["PATH_INFO"].strip("/").removesuffix(".txt")
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(name)))])
    return [name.encode("latin-1")]
"""
NODE = """\
const http = require("http"), fs = require("fs");
const log = fs.openSync("/tmp/node.log", "a");
http.createServer((request, answer) => {
  fs.writeSync(log, `${request.method} ${request.url}\\n`);
  request.on("data", () => {});
  request.on("end", () => {
    const own = request.headers["x-secret"];
    answer.end(own || request.url.replace(/^\\/|\\.txt$/g, ""));
  });
}).listen(8080, "ADDRESS");
"""

COMMANDS: dict[str, tuple[str, str, list[str]]] = {
    "apache": ("apache.conf", APACHE, ["apache2", "-f", "/tmp/apache.conf", "-DFOREGROUND"]),
    "gunicorn": (
        "app.py",
        GUNICORN,
        [
            *("gunicorn", "--chdir", "/tmp", "--bind", "ADDRESS:8080", "--threads", "4", "--user", "65534"),
            *("--worker-tmp-dir", "/tmp", "--access-logfile", "/tmp/gunicorn.log", "--access-logformat", "%(r)s"),
            *("--keep-alive", "30", "app:app"),
        ],
    ),
    "lighttpd": ("lighttpd.conf", LIGHTTPD, ["lighttpd", "-D", "-f", "/tmp/lighttpd.conf"]),
    "nginx": ("nginx.conf", NGINX, ["nginx", "-c", "/tmp/nginx.conf", "-g", "daemon off;"]),
    "node": ("server.js", NODE, ["node", "/tmp/server.js"]),
}
"""By server: its file, what stands in it, and how it is started."""


@dataclass(frozen=True)
class RealServer:
    """A server at ``address``:8080. ``log``: one line a request."""

    name: str
    address: str
    log: Path
    process: subprocess.Popen[bytes]

    def requests(self) -> list[str]:
        """The first line of each request that it took for one, without checks."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if line and "/check" not in line]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(1.0)  # node and lighttpd wait for kept connections
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DEADLINE_S)


def started(root: Path, name: str, address: str) -> RealServer:
    """Start one of ``COMMANDS`` in the file system ``root``, with an empty log."""
    file, text, command = COMMANDS[name]
    (root / "tmp" / file).write_text(text.replace("ADDRESS", address))
    log = root / "tmp" / f"{name}.log"
    log.unlink(missing_ok=True)
    argv = ["chroot", str(root), *(word.replace("ADDRESS", address) for word in command)]
    with (root / "tmp" / f"{name}.output").open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    return RealServer(name, address, log, process)


def answers(server: RealServer) -> bool:
    """Whether it takes connections by now."""
    assert server.process.poll() is None, f"{server.name} ended with {server.process.returncode}"
    try:
        with socket.create_connection((server.address, 8080), timeout=1):
            return True
    except OSError:
        return False
