"""Asking over TLS from a node container: its Python gets the program below, one JSON request, and gives one answer.

It tells what certificate came, and believes it or not no more than a client that looks at nothing would: who signed it
is the user's business. What must hold is that it is one of the file's. Standard library only, as in images/node.
"""

from __future__ import annotations

SCRIPT = """
import hashlib, json, socket, ssl, sys
from concurrent.futures import ThreadPoolExecutor

def ask(job):
    answer = {"outcome": "probe_failed", "status": 0, "error": "", "shown": ""}
    way = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    way.check_hostname, way.verify_mode = False, ssl.CERT_NONE
    if job["mode"] == "http":
        way.set_alpn_protocols(["http/1.1"])
    try:
        plain = socket.create_connection((job["address"], job["port"]), job["timeout_s"])
    except ConnectionRefusedError as error:
        return answer | {"outcome": "refused", "error": str(error)}
    except TimeoutError:
        return answer | {"outcome": "dropped", "error": "no answer"}
    except OSError as error:
        return answer | {"outcome": "unreachable", "error": str(error)}
    answer["outcome"] = "open"
    try:
        with plain, way.wrap_socket(plain, server_hostname=job["name"] or None) as talk:
            answer["shown"] = hashlib.sha256(talk.getpeercert(True)).hexdigest()
            if job["mode"] == "http":
                host = job["host_header"] or job["address"]
                more = "".join(f"{name}: {value}\\r\\n" for name, value in job.get("headers", {}).items())
                talk.sendall(f"GET {job['path']} HTTP/1.1\\r\\nHost: {host}\\r\\nUser-Agent: dockgate\\r\\n{more}"
                             "Connection: close\\r\\n\\r\\n".encode("ascii"))
                words = talk.recv(65536).split(b" ", 2)
                if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit():
                    answer["status"] = int(words[1])
                else:
                    answer["error"] = "no HTTP answer over TLS"
    except (OSError, ValueError) as error:
        answer["error"] = f"TLS: {error}"
    return answer

with ThreadPoolExecutor(16) as pool:
    print(json.dumps(list(pool.map(ask, json.loads(sys.argv[1])))))
"""
PROBE = ("python3", "-c", SCRIPT)
