"""A link's configuration: what is wrong is named, what is right is read."""

from pathlib import Path

import pytest

from quiver.domain.errors import ConfigurationError
from quiver.qkd.config import parse_link, read_link
from quiver.qkd.tls import client_context, names_in, server_context
from tests.qkd.pki import Authority

END = """
[[ends]]
kme_id = "KME-{0}"
sae_id = "node-{0}"
certificate = "kme-{0}.pem"
private_key = "kme-{0}.key"
clients_ca = "ca.pem"
"""
LINK = 'name = "a-b"\nprofile = "cedar"\nlength_km = 40\n' + END.format("a") + END.format("b")


def test_paths_are_relative_to_the_file_and_the_rest_has_defaults(tmp_path: Path) -> None:
    (tmp_path / "link.toml").write_text(LINK)
    config = read_link(tmp_path / "link.toml")
    assert config.vendor.name == "cedar"
    assert config.fibre.loss_db == pytest.approx(8.0)
    assert (config.ends[0].host, config.ends[0].port) == ("127.0.0.1", 0)
    assert config.ends[1].private_key == str(tmp_path / "kme-b.key")
    assert config.state == str(tmp_path / "state")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("length_km = 40", "lenght_km = 40", "lenght_km.*allowed are name, profile, length_km"),
        ("length_km = 40", "", "length_km"),
        ("length_km = 40", "length_km = -1", "length_km.*>= 0"),
        ("length_km = 40", "length_km = nan", "length_km"),
        ("length_km = 40", "length_km = 'far'", "length_km"),
        ("length_km = 40", "length_km = 40\ntime_scale = 0", "time_scale"),
        ('"cedar"', '"oak"', "profile: 'oak' is unknown; allowed are alder"),
        ('"a-b"', '"../a"', "name: 1 to 64 letters"),
        ('kme_id = "KME-a"', 'kme_id = "KME-a"\nport = 70000', r"ends\[0\].port"),
        ('kme_id = "KME-a"', 'kme_id = "KME-a"\nprot = 1', "prot.*allowed are kme_id, sae_id"),
        ('sae_id = "node-a"', 'sae_id = ""', r"ends\[0\].sae_id"),
        ('sae_id = "node-a"', 'sae_id = "node-b"', "ends: the two need different names"),
        (END.format("b"), "", "ends"),
        ("length_km = 40", "length_km = ", "no TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_by_the_keys_name(old: str, new: str, named: str) -> None:
    assert old in LINK
    with pytest.raises(ConfigurationError, match=named):
        parse_link(LINK.replace(old, new, 1), Path("/"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        read_link(tmp_path / "none.toml")


def test_wrong_tls_files_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.issue("one"), authority.issue("two")
    with pytest.raises(ConfigurationError, match=r"one\.pem.*No such file"):
        server_context(one.certificate, tmp_path / "none", authority.certificate)
    with pytest.raises(ConfigurationError, match=r"one\.pem with key .*two\.key.*belong together"):
        client_context(one.certificate, two.key, authority.certificate)
    with pytest.raises(ConfigurationError, match=r"CA .*one\.key"):
        client_context(*one, one.key)


def test_the_names_of_a_certificate_are_common_name_and_alternative_names() -> None:
    certificate = {
        "subject": ((("countryName", "AT"),), (("commonName", "node-a"),)),
        "subjectAltName": (("DNS", "a.example"), ("URI", "urn:qkd:node-a"), ("IP Address", "127.0.0.1")),
    }
    assert names_in(certificate) == {"node-a", "a.example", "urn:qkd:node-a"}
    assert names_in(None) == set()
