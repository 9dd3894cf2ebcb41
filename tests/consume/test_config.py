"""A consumer's configuration: what is wrong is refused with its key and what is allowed there, before anything starts."""

import socket

import pytest

from quiver.consume.config import parse_consumer, read_consumer
from quiver.consume.config_check import check
from quiver.domain.errors import ConfigurationError
from quiver.identity.lab import Lab

PEER = "jmS0HdJ9ymV2YZR7vnrvOfsULTYqCXwHmaS/OQlGoDo="
TEXT = f"""
[consumer]
role = "initiator"

[kme]
url = "https://127.0.0.1:8443"
certificate = "sae.pem"
private_key = "sae.key"
trust = ["saes-pq-ca.pem"]

[partner]
sae = "gateway-2"
address = "127.0.0.1:8460"
certificate = "partner.pem"
private_key = "partner.key"
trust = ["saes-pq-ca.pem"]

[rollover]
interval = 120
keep = 3600

[wireguard]
interface = "wg0"
peer = "{PEER}"
allowed_ips = ["10.2.0.0/24"]
"""


def test_paths_are_relative_to_the_file(tmp_path):
    config = parse_consumer(TEXT, tmp_path)
    assert config.kind == "wireguard"
    assert config.partner.credentials.certificate == tmp_path / "partner.pem"
    assert config.rollover.when_exhausted == "block"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('role = "initiator"', 'role = "master"', r"consumer\.role.*initiator.*responder"),
        ("keep = 3600", "kept = 3600", r"rollover.*kept.*allowed are.*keep"),
        ("keep = 3600", "keep = 200", r"rollover\.keep: at least 270 s"),
        ("interval = 120", "interval = 0.5", r"rollover\.interval"),
        ('address = "127.0.0.1:8460"', "", r"partner\.address: missing"),
        ('address = "127.0.0.1:8460"', 'listen = "127.0.0.1:8460"', r"partner\.address: missing"),
        ('address = "127.0.0.1:8460"', 'address = "127.0.0.1"', r"partner\.address.*HOST:PORT"),
        ('role = "initiator"', 'role = "responder"', r"partner\.listen: missing"),
        (PEER, "short", r"wireguard\.peer.*32 bytes in base64"),
        ('"wg0"', '"a name that is too long"', r"wireguard\.interface"),
        ('["10.2.0.0/24"]', '["everything"]', r"wireguard\.allowed_ips"),
        ('["10.2.0.0/24"]', '["999.1/99"]', r"wireguard\.allowed_ips.*'999.1/99' is not allowed"),
        ('["10.2.0.0/24"]', '["10.2.0.0/33"]', r"wireguard\.allowed_ips"),
        ('["10.2.0.0/24"]', '["10.2.0.0/255.255.255.0"]', r"wireguard\.allowed_ips"),
        ('["10.2.0.0/24"]', '["10.2.0.0"]', r"wireguard\.allowed_ips"),
        ('["10.2.0.0/24"]', '["2001:db8::/129"]', r"wireguard\.allowed_ips"),
        ('["10.2.0.0/24"]', "[]", r"wireguard\.allowed_ips: missing"),
        ("[wireguard]", '[exec]\ncommand = ["/bin/true"]\n\n[wireguard]', r"one of the tables \[wireguard\].*not 2"),
        ("https://127.0.0.1:8443", "", r"kme\.url"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_key(tmp_path, before, after, said):
    assert before in TEXT
    with pytest.raises(ConfigurationError, match=said):
        parse_consumer(TEXT.replace(before, after), tmp_path)


def test_a_program_that_cannot_block_is_refused_where_it_would_have_to(tmp_path):
    head = TEXT.partition("[wireguard]")[0]
    with pytest.raises(ConfigurationError, match=r'exec\.steps: "block" is missing'):
        parse_consumer(head + '[exec]\ncommand = ["/bin/true"]\n', tmp_path)
    parse_consumer(
        head.replace("keep = 3600", 'when_exhausted = "keep"') + '[exec]\ncommand = ["/bin/true"]\n', tmp_path
    )


@pytest.mark.parametrize(
    "tunnel",
    [
        '[exec]\ncommand = ["/bin/true"]\nsteps = ["switch", "block"]',
        '[link]\ncarrier = "udp"\nlisten = "127.0.0.1:1"\nfar = "127.0.0.1:2"\nentry = "127.0.0.1:3"',
    ],
)
def test_a_key_has_to_serve_until_the_next_one_can_be_proven_whatever_the_tunnel(tmp_path, tunnel):
    head = TEXT.partition("[wireguard]")[0]
    parse_consumer(head.replace("keep = 3600", "keep = 270") + tunnel, tmp_path)
    with pytest.raises(ConfigurationError, match=r"rollover\.keep: at least 270 s"):
        parse_consumer(head.replace("keep = 3600", "keep = 269") + tunnel, tmp_path)


def test_networks_of_both_families_are_taken_as_wg_takes_them(tmp_path):
    networks = ["10.2.0.1/24", "2001:db8::/32", "0.0.0.0/0", "::/0"]
    config = parse_consumer(TEXT.replace('["10.2.0.0/24"]', str(networks).replace("'", '"')), tmp_path)
    assert list(config.wireguard.allowed_ips) == networks


def test_a_file_for_another_kind_names_the_command_that_takes_it(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(TEXT)
    with pytest.raises(ConfigurationError, match="quiver consume wireguard takes it"):
        read_consumer(file, "exec")


@pytest.fixture
def files(lab: Lab, tmp_path):
    """The configuration with real certificates; a function that replaces some."""

    def made(at_kme="sae-pq gateway-c", at_partner="sae-partner gateway-c", sae="gateway-2", role="initiator"):
        found = []
        for wanted in (at_kme, at_partner):
            profile, identity = wanted.split()
            stem = lab.directory / f"{profile}-{identity}"
            if not stem.with_suffix(".pem").exists():
                lab.issue(profile, identity)
            found.append(stem)
        text = TEXT.replace('"sae.pem"', f'"{found[0]}.pem"').replace('"sae.key"', f'"{found[0]}.key"')
        text = text.replace('"partner.pem"', f'"{found[1]}.pem"').replace('"partner.key"', f'"{found[1]}.key"')
        text = text.replace("saes-pq-ca.pem", str(lab.saes_trust[1])).replace('"gateway-2"', f'"{sae}"')
        if role == "responder":
            text = text.replace('"initiator"', '"responder"').replace("address =", "listen =")
        return parse_consumer(text.replace('interface = "wg0"', 'interface = "wg0"\nprogram = "true"'), tmp_path)

    return made


def test_a_configuration_without_mistakes_is_found_to_have_none(files):
    assert check(files()) == []
    assert check(files(role="responder")) == []
    assert check(files(at_kme="sae gateway-c")) == []  # classical towards its node


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"at_partner": "sae-pq gateway-c", "role": "responder"}, "may not be used as server"),
        ({"at_partner": "sae gateway-c"}, "ML-DSA-65 is needed"),
        ({"at_kme": "sae-pq gateway-d"}, "urn:quiver:sae:gateway-c is needed"),
        ({"sae": "gateway-c"}, "this end itself"),
        ({"at_partner": "kme-pq gateway-c"}, "is needed"),
    ],
)
def test_certificates_that_will_not_do_are_found_before_the_start(files, changed, said):
    findings = check(files(**changed))
    assert any(said in finding for finding in findings), findings


def test_missing_files_and_programs_are_found(tmp_path):
    findings = check(parse_consumer(TEXT.replace('interface = "wg0"', 'interface = "wg0"\nprogram = "wgx"'), tmp_path))
    assert [finding.partition("]")[0] for finding in findings] == ["[kme", "[partner", "[wireguard"]


def test_a_charon_that_is_not_there_is_found(tmp_path):
    head = TEXT.partition("[wireguard]")[0]
    tunnel = """
[strongswan]
name = "site-2"
socket = "vici"
[strongswan.connection]
local_addrs = ["192.0.2.20"]
remote_addrs = ["198.51.100.7"]
local = {auth = "pubkey"}
remote = {auth = "pubkey"}
children.net = {local_ts = ["10.1.0.0/24"], remote_ts = ["10.2.0.0/24"]}
"""
    config = parse_consumer(head + tunnel, tmp_path)
    (finding,) = [one for one in check(config) if one.startswith("[strongswan]")]
    assert str(tmp_path / "vici") in finding
    with socket.socket(socket.AF_UNIX) as charon:
        charon.bind(str(tmp_path / "vici"))
        assert not [one for one in check(config) if one.startswith("[strongswan]")]
