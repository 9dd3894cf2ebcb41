"""Authorities, requests and certificates: what they bind, proven by the handshakes that they allow."""

import asyncio
import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from quiver.domain.errors import ConfigurationError
from quiver.identity.pki import (
    CertificationAuthority,
    Request,
    make_authority,
    make_key,
    make_request,
    write_certificate,
    write_key,
)
from quiver.identity.profiles import AUTHORITIES, PROFILES, Profile, profile_named
from quiver.net import tls
from quiver.net.tls_names import names_of
from tests.net.wire import Outcome, visit

KINDS = {authority.stem: authority for group in AUTHORITIES.values() for authority in group}


@pytest.fixture(scope="module")
def authorities() -> dict[str, CertificationAuthority]:
    return {stem: make_authority(authority, network="test") for stem, authority in KINDS.items()}


def issue(
    directory: Path, authority: CertificationAuthority, profile: Profile, identity: str, *hosts: str
) -> tls.Credentials:
    """As two machines do it: the key stays, the request travels, the certificate comes back."""
    key = make_key(profile.kind)
    request = make_request(key, profile, identity, hosts)
    travelled = x509.load_pem_x509_csr(request.public_bytes(serialization.Encoding.PEM))
    certificate = authority.sign(Request.check(travelled, profile))
    files = tls.Credentials(directory / f"{profile.name}.pem", directory / f"{profile.name}.key")
    write_key(files.private_key, key)
    write_certificate(files.certificate, certificate)
    return files


def meet(server: tls.TlsContext, client: tls.TlsContext, host: str | None = "localhost") -> Outcome:
    outcome = visit(asyncio.new_event_loop, server, client, host)
    assert outcome.error is None, outcome.error
    assert outcome.answer == b"welcome"
    return outcome


def bundle(directory: Path, authorities: dict[str, CertificationAuthority], stem: str) -> Path:
    path = directory / f"{stem}.pem"
    write_certificate(path, authorities[stem].certificate)
    return path


def test_nodes_meet_with_what_was_issued_to_them(
    authorities: dict[str, CertificationAuthority], tmp_path: Path
) -> None:
    trust = bundle(tmp_path, authorities, "nodes-ca")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = issue(tmp_path / "a", authorities["nodes-ca"], PROFILES["node"], "Wien/1", "127.0.0.1", "node.example")
    b = issue(tmp_path / "b", authorities["nodes-ca"], PROFILES["node"], "Graz")
    client = tls.peer_client(b, trust).expecting(tls.quiver_uri("node", "Wien/1"))
    (facts,) = meet(tls.peer_server(a, trust), client, None).admitted
    assert facts is not None
    assert (facts.names.node, facts.signature) == ("Graz", "ML-DSA-65")
    assert facts.issuer == "CN=Quiver nodes CA test"


@pytest.mark.parametrize(("sae", "kme"), [("sae", "kme"), ("sae-pq", "kme-pq")])
def test_saes_of_either_kind_meet_their_kme(
    sae: str, kme: str, authorities: dict[str, CertificationAuthority], tmp_path: Path
) -> None:
    trust = [bundle(tmp_path, authorities, stem) for stem in ("saes-ca", "saes-pq-ca")]
    pairs = {
        name: issue(tmp_path, authorities[PROFILES[name].authority], PROFILES[name], "x", "localhost")
        for name in ("kme", "kme-pq", sae)
    }
    server = tls.sae_server(pairs["kme"], pairs["kme-pq"], trust)
    outcome = meet(server, tls.sae_client(pairs[sae], trust))
    assert outcome.admitted[0] is not None
    assert outcome.seen_by_client is not None
    assert outcome.admitted[0].names.sae == "x"
    assert outcome.seen_by_client.signature == PROFILES[kme].kind


def test_an_agent_meets_its_device(authorities: dict[str, CertificationAuthority], tmp_path: Path) -> None:
    trust = bundle(tmp_path, authorities, "devices-ca")
    device = issue(tmp_path, authorities["devices-ca"], PROFILES["device"], "KME-A", "localhost", "::1")
    agent = issue(tmp_path, authorities["devices-ca"], PROFILES["device-client"], "Wien")
    (facts,) = meet(tls.device_server(device, trust), tls.device_client(agent, trust)).admitted
    assert facts is not None
    assert facts.names.node == "Wien"


def test_a_certificate_says_what_it_is_for_and_nothing_more(authorities: dict[str, CertificationAuthority]) -> None:
    for profile in PROFILES.values():
        key = make_key(profile.kind)
        now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
        request = Request.check(make_request(key, profile, "x", ["10.0.0.1", "bücher.example"]), profile)
        issued = authorities[profile.authority].sign(request, days=30, now=now)
        extensions = issued.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert (constraints.critical, constraints.value.ca) == (True, False)
        assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
        assert tuple(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == profile.usages
        names = names_of(issued)
        assert (names.role, names.identity, names.common_name) == (profile.role, "x", "x")
        assert (names.dns, names.addresses) == (("xn--bcher-kva.example",), ("10.0.0.1",))
        assert issued.not_valid_after_utc == datetime.datetime(2030, 1, 31, tzinfo=datetime.UTC)
        assert issued.not_valid_before_utc < now, "clocks of two sites differ"
        issued.verify_directly_issued_by(authorities[profile.authority].certificate)


def test_an_authority_may_make_members_but_no_further_authorities(
    authorities: dict[str, CertificationAuthority],
) -> None:
    for stem, authority in authorities.items():
        constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
        assert (usage.key_cert_sign, usage.digital_signature) == (True, False)
        assert authority.kind == KINDS[stem].kind


def test_an_id_too_long_for_a_common_name_stands_in_the_uri_alone(
    authorities: dict[str, CertificationAuthority],
) -> None:
    profile, identity = PROFILES["sae"], "ä" * 100
    request = Request.check(make_request(make_key(profile.kind), profile, identity), profile)
    issued = authorities["saes-ca"].sign(request)
    names = names_of(issued)
    assert (names.sae, names.common_name) == (identity, None)
    assert issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


@pytest.mark.parametrize("identity", ["", "x" * 129, "a\nb", "a\0"])
def test_an_id_that_nobody_can_read_is_refused(identity: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 128 printable"):
        make_request(make_key("ECDSA P-256"), PROFILES["sae"], identity)


@pytest.mark.parametrize("host", ["*.example", "", "a b", "-a.example", "a..b", "http://x", "x" * 254])
def test_a_host_is_an_address_or_a_plain_dns_name(host: str) -> None:
    with pytest.raises(ConfigurationError, match="host"):
        make_request(make_key("ECDSA P-256"), PROFILES["kme"], "x", [host])


def foreign_request(*uris: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> Request:
    """What somebody's own tools may ask for."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    )
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return Request.check(signed, PROFILES["sae"])


@pytest.mark.parametrize(
    "uris",
    [
        (),
        ("urn:quiver:node:alice",),
        ("urn:quiver:sae:alice", "urn:quiver:sae:bob"),
        ("urn:quiver:sae:al%69ce",),
        ("URN:quiver:sae:alice",),
    ],
)
def test_a_request_that_names_nobody_or_somebody_else_is_refused(uris: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="it names no sae"):
        foreign_request(*uris)


def test_a_request_with_the_wrong_kind_of_key_is_refused() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(ConfigurationError, match=r"its key is (RSA-2048|ECDSA P-384); profile sae wants ECDSA"):
            foreign_request("urn:quiver:sae:alice", key=key)


def test_of_a_foreign_request_only_key_id_and_hosts_are_taken(authorities: dict[str, CertificationAuthority]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o")])
    )
    wanted = [
        x509.UniformResourceIdentifier("urn:quiver:sae:alice"),
        x509.UniformResourceIdentifier("https://elsewhere.example/"),
        x509.RFC822Name("root@example.org"),
        x509.DNSName("alice.example"),
    ]
    builder = builder.add_extension(x509.SubjectAlternativeName(wanted), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    issued = authorities["saes-ca"].sign(Request.check(builder.sign(key, hashes.SHA256()), PROFILES["sae"]))
    assert issued.subject.rfc4514_string() == "CN=alice"
    found = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(found) == [wanted[0], wanted[3]]
    assert not issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_whoever_does_not_hold_the_key_gets_no_certificate() -> None:
    request = make_request(make_key("ECDSA P-256"), PROFILES["sae"], "alice")
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(ConfigurationError, match="nobody proved to hold the key"):
        Request.check(x509.load_der_x509_csr(bytes(der)), PROFILES["sae"])


def test_an_authority_of_another_kind_does_not_sign(authorities: dict[str, CertificationAuthority]) -> None:
    request = Request.check(make_request(make_key("ML-DSA-65"), PROFILES["node"], "a"), PROFILES["node"])
    with pytest.raises(ConfigurationError, match="issued by a ML-DSA-65 authority, this is ECDSA P-256"):
        authorities["saes-ca"].sign(request)


def test_files_are_for_their_owner_durable_and_never_overwritten(tmp_path: Path) -> None:
    key = make_key("ML-DSA-65")
    path = tmp_path / "x.key"
    write_key(path, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="exists already; nothing is overwritten"):
        write_key(path, make_key("ML-DSA-65"))
    assert path.read_bytes() == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError):
        write_key(tmp_path / "link", key)
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(ConfigurationError, match="No such file"):
        write_key(tmp_path / "no" / "x.key", key)
    with pytest.raises(ConfigurationError, match=r"full: No space left on device"):
        write_to_a_full_disk(tmp_path / "full")


def write_to_a_full_disk(path: Path) -> None:
    """/dev/full takes no byte; O_EXCL forbids to open it, so that the test writes through a file that fails alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", _full)
        write_key(path, make_key("ECDSA P-256"))


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_an_authority_comes_back_from_its_files(authorities: dict[str, CertificationAuthority], tmp_path: Path) -> None:
    for stem, authority in authorities.items():
        write_certificate(tmp_path / f"{stem}.pem", authority.certificate)
        write_key(tmp_path / f"{stem}.key", authority.key)
        assert CertificationAuthority.load(tmp_path / f"{stem}.pem", tmp_path / f"{stem}.key").kind == authority.kind
    with pytest.raises(ConfigurationError, match="not the key of"):
        CertificationAuthority.load(tmp_path / "nodes-ca.pem", tmp_path / "saes-pq-ca.key")
    with pytest.raises(ConfigurationError, match=r"none\.key: No such file"):
        CertificationAuthority.load(tmp_path / "nodes-ca.pem", tmp_path / "none.key")
    with pytest.raises(ConfigurationError, match="not a PEM certificate and its unencrypted key"):
        CertificationAuthority.load(tmp_path / "nodes-ca.key", tmp_path / "nodes-ca.key")
    encrypted = authorities["saes-ca"].key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (tmp_path / "sealed.key").write_bytes(encrypted)
    with pytest.raises(ConfigurationError, match="unencrypted key"):
        CertificationAuthority.load(tmp_path / "saes-ca.pem", tmp_path / "sealed.key")


def test_a_member_and_an_expired_authority_sign_nothing(
    authorities: dict[str, CertificationAuthority], tmp_path: Path
) -> None:
    member = issue(tmp_path, authorities["saes-ca"], PROFILES["sae"], "alice")
    with pytest.raises(ConfigurationError, match="no certification authority"):
        CertificationAuthority.load(member.certificate, member.private_key)
    old = make_authority(KINDS["saes-ca"], days=0.001)  # 86 s, begun 5 minutes ago
    write_certificate(tmp_path / "old.pem", old.certificate)
    write_key(tmp_path / "old.key", old.key)
    with pytest.raises(ConfigurationError, match="expired"):
        CertificationAuthority.load(tmp_path / "old.pem", tmp_path / "old.key")


def test_a_network_has_a_name_that_fits_into_its_authorities() -> None:
    with pytest.raises(ConfigurationError, match="network"):
        make_authority(KINDS["nodes-ca"], network="x" * 60)


def test_an_unknown_profile_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'nodes': allowed are node, kme, kme-pq, sae, "):
        profile_named("nodes")
