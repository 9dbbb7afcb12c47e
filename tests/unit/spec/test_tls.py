"""TLS in the file: what is read of certificates, and everything that can be wrong with them, with its place."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from tests.certificates import Pair, pair
from tests.unit.spec.reading import VALID, changed, problems, read

from dockgate.model.desired import SniRoute
from dockgate.model.tls import Tls, covers
from dockgate.spec import SecretUnavailable, SpecError
from dockgate.spec.pem import BadPem, Bundle, bundle, certificates, self_signed

SITE = pair("site.example", "*.site.example", "192.168.50.11")
OTHER = pair("other.example")
AUTHORITY = pair(subject="authority", signs=True)


@dataclass
class Files:
    """A folder of these tests, from nowhere."""

    there: dict[str, bytes] = field(default_factory=dict)
    now: float = field(default_factory=time.time)

    def read(self, name: str) -> bytes:
        if name not in self.there:
            raise SecretUnavailable(f"the file '{name}' does not exist", hint="create it")
        return self.there[name]

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(name.partition("/")[2] for name in self.there if name.startswith(f"{folder}/")))


def files(**pairs: Pair) -> Files:
    """``NAME.crt`` and ``NAME.key`` of each in the folder ``keys``."""
    there = {f"keys/{name}.crt": each.cert for name, each in pairs.items()}
    return Files(there | {f"keys/{name}.key": each.key for name, each in pairs.items()})


def listening(listen: str, *more: tuple[str, str]) -> str:
    return changed("listen: [{port: 80}]", f"listen: [{listen}]", *more)


def tls(text: str) -> str:
    return listening(f"{{port: 443, tls: {{{text}}}}}")


def tls_of(text: str, key_files: Files) -> Tls:
    found = read(tls(text), key_files).desired.vip("web").listens[0].tls
    assert found
    return found


def problem(text: str, key_files: Files | None = None) -> str:
    found = problems(text, key_files or files(site=SITE, other=OTHER))
    assert len(found) == 1, found
    return found[0]


ONE = "certificates: [{cert: keys/site.crt, key: keys/site.key}]"


def test_a_certificate_is_known_by_its_names_its_end_and_its_fingerprint() -> None:
    (file,) = tls_of(ONE, files(site=SITE)).certificates
    assert file.names == ("*.site.example", "192.168.50.11", "site.example")
    assert file.fingerprint == SITE.fingerprint
    assert file.expires == int(SITE.certificate.not_valid_after_utc.timestamp())
    assert file.places == ("keys/site.crt", "keys/site.key")


def test_nothing_of_a_key_is_in_what_the_file_asks_for() -> None:
    shown = repr(read(tls(ONE), files(site=SITE)).desired)
    assert not [line for line in SITE.key.decode().splitlines() if line in shown]


def test_a_renewed_certificate_keeps_its_name_and_has_another_digest() -> None:
    (before,) = tls_of(ONE, files(site=SITE)).certificates
    (after,) = tls_of(ONE, files(site=pair("site.example"))).certificates
    assert before.name == after.name
    assert before.digest != after.digest


def test_files_of_one_name_in_two_folders_have_two_names_in_the_volume() -> None:
    there = Files({"a/x.pem": SITE.cert + SITE.key, "b/x.pem": OTHER.cert + OTHER.key})
    first, second = tls_of("certificates: [a/x.pem, b/x.pem]", there).certificates
    assert first.name != second.name


def test_an_authority_is_named_by_its_content() -> None:
    there = files(site=SITE)
    names = []
    for signer in (AUTHORITY, pair(subject="authority", signs=True)):
        there.there["ca.pem"] = signer.cert
        clients = tls_of(f"{ONE}, clients: {{authority: ca.pem}}", there).clients
        assert clients
        names.append(clients.authority.name)
    assert names[0] != names[1]


def test_a_folder_gives_all_its_certificates_and_leaves_out_the_rest() -> None:
    there = files(site=SITE, other=OTHER)
    there.there |= {"keys/both.pem": SITE.key + SITE.cert, "keys/README": b"hello"}
    found = tls_of("certificates: [{folder: keys}]", there).certificates
    assert [file.places[0] for file in found] == ["keys/both.pem", "keys/other.crt", "keys/site.crt"]


def test_defaults_are_tls_1_2_no_hsts_and_no_certificates_of_clients() -> None:
    found = tls_of(ONE, files(site=SITE))
    assert (found.minimum, found.hsts_s, found.clients) == ("1.2", 0, None)


def test_what_is_in_a_bundle_is_one_block_after_the_other_without_an_empty_line() -> None:
    made = bundle([b"subject: x\n\n" + SITE.cert + b"\n\n" + AUTHORITY.cert, b"\n" + SITE.key])
    assert made.content == SITE.cert + AUTHORITY.cert + SITE.key
    assert b"\n\n" not in made.content
    assert repr(made) == "Bundle()"


@pytest.mark.parametrize(
    ("spoiled", "what"),
    [
        ({"keys/site.key": b""}, "certificate 'keys/site.crt': there is no key for the certificate"),
        ({"keys/site.key": OTHER.key}, "certificate 'keys/site.crt': the key is not that of the certificate"),
        ({"keys/site.key": SITE.key * 2}, "certificate 'keys/site.crt': there are 2 keys for the certificate"),
        ({"keys/site.key": SITE.key.replace(b"\nM", b"\n!")}, "certificate 'keys/site.crt': the key cannot be read"),
        ({"keys/site.crt": b"hello"}, "certificate 'keys/site.crt': there is no certificate in it"),
        ({"keys/site.crt": SITE.cert.replace(b"\nM", b"\n!")}, "a certificate in it cannot be read"),
        ({"keys/site.crt": SITE.cert * 40}, "certificate 'keys/site.crt': it has more than 15000 bytes"),
        ({"keys/site.crt": pair("x", days=-1, after_days=-2).cert}, "the key is not that of the certificate"),
    ],
)
def test_a_certificate_that_haproxy_would_refuse_is_told_with_its_line(spoiled: dict[str, bytes], what: str) -> None:
    there = files(site=SITE)
    there.there |= spoiled
    said = problem(tls(ONE), there)
    assert said.startswith("f:9:")
    assert what in said


def test_a_file_that_is_missing_is_told_with_its_line() -> None:
    assert "the file 'keys/site.crt' does not exist" in problem(tls(ONE), Files())


def test_a_certificate_that_is_not_valid_yet_is_refused() -> None:
    there = files(site=pair("site.example", days=9, after_days=1))
    assert "is not valid before " in problem(tls(ONE), there)


def test_a_file_with_an_expired_certificate_can_be_looked_at_but_not_used() -> None:
    """`status` and `down` once refused it, on the very day on which they were needed."""
    loaded = read(tls(ONE), files(site=pair("site.example", days=-1, after_days=-9)))
    (certificate,) = loaded.desired.vip("web").tls_files()
    assert certificate.expired
    with pytest.raises(SpecError, match=r"f:9:\d+: 'keys/site.crt' has expired at .*; renew it"):
        loaded.current()


def test_a_port_may_make_its_certificate_by_itself_for_what_it_can_be_asked_as() -> None:
    text = tls("self_signed: true").replace("pool: site", "pool: site\n    routes: [{host: a.example, pool: site}]", 1)
    found = read(text).desired.vip("web").listens[0].tls
    assert found
    (made,) = found.certificates
    assert made.self_signed
    assert made.names == ("192.168.50.11", "a.example")
    assert made.is_among([(made.name, "whatever is there")])
    chain = certificates(self_signed(made.names))
    assert Bundle(b"", chain).names == made.names
    assert bundle([self_signed(made.names)]).chain[0] != chain[0], "each has a key of its own"


@pytest.mark.parametrize("said", ["minimum: '1.3'", f"self_signed: true, {ONE}"])
def test_a_port_has_either_certificates_or_its_own(said: str) -> None:
    assert "certificates and self_signed; write certificates" in problem(tls(said))


def test_an_expired_certificate_is_told_beside_what_else_is_wrong() -> None:
    there = files(site=pair("site.example", days=-1, after_days=-9))
    found = problems(tls(ONE).replace("pool: site", "pool: sight"), there)
    assert len(found) == 2
    assert "has expired at" in found[0] + found[1]


def test_a_chain_ends_with_whoever_of_it_ends_first() -> None:
    there = files(site=SITE)
    there.there["keys/site.crt"] += pair(subject="old", signs=True, days=-1, after_days=-2).cert
    assert "has expired" in str(read(tls(ONE), there).outdated)


def test_a_certificate_that_soon_expires_is_a_note() -> None:
    notes = read(tls(ONE), files(site=pair("site.example", days=3))).notes
    assert [note for note in notes if "expires at" in note.text]


@pytest.mark.parametrize(
    ("certificate", "what"),
    [
        ("{folder: none}", "the folder 'none' holds no certificate"),
        ("{key: keys/site.key}", "a certificate is either"),
        ("{cert: keys/site.crt, folder: keys}", "a certificate is either"),
    ],
)
def test_what_says_no_certificate_or_two_things_is_told(certificate: str, what: str) -> None:
    assert what in problem(tls(f"certificates: [{certificate}]"))


def test_a_route_whose_name_no_certificate_has_is_told_at_the_route() -> None:
    text = tls(ONE).replace("    pool: site\n", "    pool: site\n    routes:\n      - {host: www.blog, pool: site}\n")
    said = problem(text)
    assert said.startswith("f:12:16: no certificate of port 443 is for 'www.blog'; they are for: ")


@pytest.mark.parametrize(
    ("name", "host", "good"),
    [
        ("a.example", "a.example", True),
        ("A.example", "a.Example", True),
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", False),
        ("*.example", "example", False),
        ("*.a.example", "*.a.example", True),
        ("*.example", "*.a.example", False),
        ("a.example", "b.example", False),
    ],
)
def test_a_wildcard_stands_for_one_label(name: str, host: str, good: bool) -> None:
    assert covers(name, host) is good


@pytest.mark.parametrize(
    ("listen", "what"),
    [
        ("{port: 80, redirect: 443}", "has no HTTPS port 443 to redirect to"),
        ("{port: 80, redirect: 80}", "has no HTTPS port 80 to redirect to"),
        ("{port: 80, redirect: 443, pool: site}, HTTPS", "neither a pool nor tls"),
        ("{port: 80, mode: tcp, redirect: 443}, HTTPS", "has mode http"),
        ("{port: 443, sni: [{host: a.example, pool: site}]}", "mode tcp and no tls of its own"),
        ("{port: 443, mode: tcp, sni: [{host: a.b, pool: site}, {host: a.b, pool: site}]}", "is in line 9 already"),
        ("{port: 443, mode: tcp, sni: [{host: a.example, pool: sight}]}", "did you mean 'site'?"),
    ],
)  # fmt: skip
def test_ports_that_cannot_be_are_told(listen: str, what: str) -> None:
    found = problems(listening(listen.replace("HTTPS", f"{{port: 443, tls: {{{ONE}}}}}")), files(site=SITE))
    assert any(what in each for each in found), found


def test_names_of_connections_come_exact_first_then_longer_wildcards() -> None:
    hosts = ("*.example", "*.a.example", "b.example")
    sni = ", ".join(f'{{host: "{host}", pool: site}}' for host in hosts)
    (listen,) = read(listening(f"{{port: 443, mode: tcp, sni: [{sni}]}}")).desired.vip("web").listens
    expected = ["b.example", "*.a.example", "*.example"]
    assert listen.sni == tuple(SniRoute(host, "site") for host in expected)


def test_members_are_trusted_by_authority_and_name_and_their_authority_goes_to_the_volume() -> None:
    text = changed("port: 80, members", "port: 443, tls: {authority: ca.pem, name: m.example}, members")
    wanted = read(text, Files({"ca.pem": AUTHORITY.cert})).desired
    tls = wanted.pool("site").tls
    assert tls
    assert tls.name == "m.example"
    assert wanted.tls_files(wanted.vip("web")) == (tls.authority,)


def test_an_authority_of_members_that_is_missing_is_told_with_its_line() -> None:
    text = changed("port: 80, members", "port: 443, tls: {authority: ca.pem, name: m.example}, members")
    (said,) = problems(text, Files())
    assert "the file 'ca.pem' does not exist" in said


def test_an_encrypted_key_is_refused_in_words() -> None:
    from cryptography.hazmat.primitives import serialization as s

    locked = SITE.private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"x"))
    with pytest.raises(BadPem, match="encrypted"):
        bundle([SITE.cert, locked])


def test_the_valid_file_has_no_tls() -> None:
    assert read(VALID).desired.vip("web").tls_files() == ()
