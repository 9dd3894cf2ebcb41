"""The registration phase on disk, and what is shown of its files."""

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from quiver.domain.errors import ConfigurationError
from quiver.identity import registry
from quiver.identity.lab import Lab
from quiver.identity.profiles import PROFILES
from quiver.net.tls_names import names_of


def test_authorities_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    made = registry.init_authorities(tmp_path / "ca", ["nodes", "saes", "devices"], network="vienna")
    assert [path.name for path in made] == ["nodes-ca.pem", "saes-ca.pem", "saes-pq-ca.pem", "devices-ca.pem"]
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.with_suffix(".key").stat().st_mode) for path in made} == {0o600}
    (shown,) = registry.describe(made[0])
    assert (shown["what"], shown["subject"], shown["key"]) == ("authority", "CN=Quiver nodes CA vienna", "ML-DSA-65")


def test_where_one_authority_is_none_is_made(tmp_path: Path) -> None:
    registry.init_authorities(tmp_path, ["devices"])
    before = (tmp_path / "devices-ca.key").read_bytes()
    with pytest.raises(ConfigurationError, match=r"devices-ca\.pem: exists already"):
        registry.init_authorities(tmp_path, ["nodes", "devices"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["devices-ca.key", "devices-ca.pem"]
    assert (tmp_path / "devices-ca.key").read_bytes() == before
    with pytest.raises(ConfigurationError, match="authority 'node': allowed are nodes, saes, devices"):
        registry.init_authorities(tmp_path, ["node"])


def test_a_group_named_twice_is_made_once(tmp_path: Path) -> None:
    assert len(registry.init_authorities(tmp_path, ["nodes", "nodes"])) == 1


def test_a_request_leaves_the_key_where_it_is(tmp_path: Path) -> None:
    key, csr = registry.write_request(tmp_path / "node.a", PROFILES["node"], "a", ["127.0.0.1"])
    assert (key.name, csr.name) == ("node.a.key", "node.a.csr")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE" not in csr.read_bytes()
    assert registry.read_request(csr, PROFILES["node"]).names.node == "a"
    with pytest.raises(ConfigurationError, match="exists already"):
        registry.write_request(tmp_path / "node.a", PROFILES["node"], "b", [])
    csr.unlink()
    with pytest.raises(ConfigurationError, match="exists already"):
        registry.write_request(tmp_path / "node.a", PROFILES["node"], "b", [])
    assert not csr.exists()


def test_what_is_no_request_is_refused_with_its_name(tmp_path: Path) -> None:
    key, _ = registry.write_request(tmp_path / "x", PROFILES["sae"], "x", [])
    for path, words in ((key, "not a PEM signing request"), (tmp_path / "none", "No such file")):
        with pytest.raises(ConfigurationError, match=f"{path.name}.*{words}"):
            registry.read_request(path, PROFILES["sae"])


def hostile_request() -> bytes:
    """A request with the same extension twice, which the library's builder refuses to make: two are glued together."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:quiver:sae:alice")]),
        x509.IssuerAlternativeName([x509.UniformResourceIdentifier("urn:quiver:sae:mallo")]),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    for name in names:
        builder = builder.add_extension(name, critical=False)
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    twice = der.replace(bytes.fromhex("0603551d12"), bytes.fromhex("0603551d11"))
    assert twice != der
    return x509.load_der_x509_csr(twice).public_bytes(serialization.Encoding.PEM)


def test_a_request_that_is_made_to_confuse_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "x.csr"
    path.write_bytes(hostile_request())
    for read in (lambda: registry.read_request(path, PROFILES["sae"]), lambda: registry.describe(path)):
        with pytest.raises(ConfigurationError, match="not a PEM signing request"):
            read()


def test_what_is_shown_of_a_certificate_is_what_an_operator_needs(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    files = lab.issue("kme", "Wien/1", days=2)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    (shown,) = registry.describe(files.certificate)
    assert (shown["what"], shown["role"], shown["id"], shown["usages"]) == ("certificate", "kme", "Wien/1", ["server"])
    assert (shown["dns"], shown["addresses"]) == (["localhost"], ["127.0.0.1", "::1"])
    assert (shown["issuer"], shown["state"]) == ("CN=Quiver SAEs CA lab", "valid")
    assert shown["serial"] == f"{certificate.serial_number:x}"
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    earlier = later - datetime.timedelta(days=9)
    assert registry.describe(files.certificate, now=later)[0]["state"] == "expired"
    assert registry.describe(files.certificate, now=earlier)[0]["state"] == "not valid yet"
    assert [entry["key"] for entry in registry.describe(lab.saes_bundle)] == ["ECDSA P-256", "ML-DSA-65"]


def test_a_private_key_is_never_shown(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    files = lab.issue("sae", "alice")
    with pytest.raises(ConfigurationError, match="neither PEM certificates nor a signing request"):
        registry.describe(files.private_key)
    both = tmp_path / "both.pem"
    both.write_bytes(files.private_key.read_bytes() + files.certificate.read_bytes())
    secret = files.private_key.read_text().splitlines()[1]
    assert secret not in str(registry.describe(both))


def test_a_labs_keys_of_authorities_are_nowhere_on_disk(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    assert stat.S_IMODE((tmp_path / "lab").stat().st_mode) == 0o700
    assert list((tmp_path / "lab").glob("*.key")) == []
    files = lab.issue("sae", "a/b c")
    assert files.private_key.name == "sae-a_b_c.key"
    assert names_of(x509.load_pem_x509_certificate(files.certificate.read_bytes())).sae == "a/b c"
    with pytest.raises(ConfigurationError, match="exists already"):
        lab.issue("sae", "a/b c")
