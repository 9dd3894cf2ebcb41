"""Who does not get in is stopped in the handshake, and the log says why."""

import ssl
from dataclasses import replace

import pytest

from quiver.net import tls, tls_policy
from quiver.net.tls import make_context
from tests.net.conftest import Network
from tests.net.wire import LoopFactory, Outcome, visit

NODE_A = tls.quiver_uri("node", "a")


def peer_server(network: Network) -> tls.TlsContext:
    return tls.peer_server(network.get("node", "a"), network.lab.nodes_trust)


def peer_client(network: Network) -> tls.TlsContext:
    return tls.peer_client(network.get("node", "b"), network.lab.nodes_trust).expecting(NODE_A)


def sae_server(network: Network, *, require_pq: bool = False) -> tls.TlsContext:
    return tls.sae_server(
        network.get("kme", "kme-a"), network.get("kme-pq", "kme-a"), network.lab.saes_trust, require_pq=require_pq
    )


def assert_server_refused(outcome: Outcome, *words: str) -> None:
    assert outcome.admitted == []
    assert outcome.answer == b""
    (reason,) = outcome.refusals("server")
    for word in words:
        assert word in reason


def test_two_nodes_of_one_network_get_in(network: Network, loop_factory: LoopFactory) -> None:
    outcome = visit(loop_factory, peer_server(network), peer_client(network))
    assert outcome.error is None
    assert outcome.answer == b"welcome"
    (facts,) = outcome.admitted
    assert facts is not None
    assert (facts.names.node, facts.version, facts.group, facts.signature) == (
        "b",
        "TLSv1.3",
        "X25519MLKEM768",
        "ML-DSA-65",
    )
    assert outcome.seen_by_client is not None
    assert outcome.seen_by_client.names.node == "a"
    assert outcome.refusals("server") == outcome.refusals("client") == []


def test_no_certificate(network: Network, loop_factory: LoopFactory) -> None:
    client = make_context(tls_policy.PEER_CLIENT, [], [network.lab.nodes_trust]).expecting(NODE_A)
    outcome = visit(loop_factory, peer_server(network), client)
    assert_server_refused(outcome, "no certificate")
    assert outcome.refusals("client") == ["the peer refused us: it wants a certificate and got none"]


def test_certificate_of_another_ca(network: Network, stranger: Network, loop_factory: LoopFactory) -> None:
    client = tls.peer_client(stranger.get("node", "b"), network.lab.nodes_trust).expecting(NODE_A)
    outcome = visit(loop_factory, peer_server(network), client)
    assert_server_refused(outcome, "other CA")
    assert outcome.refusals("client") == ["the peer refused us: our certificate is from a CA that it does not trust"]


def test_server_of_another_ca(network: Network, stranger: Network, loop_factory: LoopFactory) -> None:
    server = tls.peer_server(stranger.get("node", "a"), network.lab.nodes_trust)
    outcome = visit(loop_factory, server, peer_client(network))
    assert outcome.admitted == []
    (reason,) = outcome.refusals("client")
    assert "other CA" in reason
    assert isinstance(tls.refusal_in(outcome.error), tls.TlsRefusedError)


def test_expired_certificate(network: Network, loop_factory: LoopFactory) -> None:
    expired = network.lab.issue("node", f"late-{loop_factory.__module__}", days=-1)
    outcome = visit(
        loop_factory, peer_server(network), tls.peer_client(expired, network.lab.nodes_trust).expecting(NODE_A)
    )
    assert_server_refused(outcome, "expired certificate, since ")
    assert outcome.refusals("client") == ["the peer refused us: our certificate has expired"]


def test_wrong_name(network: Network, loop_factory: LoopFactory) -> None:
    client = peer_client(network).expecting(tls.quiver_uri("node", "c"))
    outcome = visit(loop_factory, peer_server(network), client)
    assert outcome.admitted == []
    assert outcome.refusals("client") == ["wrong name: expected urn:quiver:node:c, the certificate is for node a"]


def test_a_host_name_is_not_enough_between_nodes(network: Network, loop_factory: LoopFactory) -> None:
    client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
    outcome = visit(loop_factory, peer_server(network), client, "localhost")
    assert outcome.admitted == []
    assert outcome.refusals("client") == ["wrong name: nobody said whom to expect; the certificate is for node a"]


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.2", "kme-a"])
def test_an_sae_is_not_led_to_another_host(network: Network, loop_factory: LoopFactory, host: str) -> None:
    client = tls.sae_client(network.get("sae", "x"), network.lab.saes_trust)
    outcome = visit(loop_factory, sae_server(network), client, host)
    assert outcome.admitted == []
    assert outcome.refusals("client") == [f"wrong name: expected {host}, the certificate is for kme kme-a"]


def test_tls_1_2_between_nodes(network: Network, loop_factory: LoopFactory) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    outcome = visit(loop_factory, peer_server(network), old)
    assert_server_refused(outcome, "TLS version")
    assert outcome.error is not None


def test_peer_that_offers_only_x25519(network: Network, loop_factory: LoopFactory) -> None:
    weak = replace(tls_policy.PEER_CLIENT, groups="X25519")
    client = make_context(weak, [network.get("node", "b")], [network.lab.nodes_trust]).expecting(NODE_A)
    outcome = visit(loop_factory, peer_server(network), client)
    assert_server_refused(outcome, "TLS group", "X25519MLKEM768")
    assert outcome.error is not None


def test_server_that_offers_only_x25519(network: Network, loop_factory: LoopFactory) -> None:
    weak = replace(tls_policy.PEER_SERVER, groups="X25519")
    server = make_context(weak, [network.get("node", "a")], [network.lab.nodes_trust])
    outcome = visit(loop_factory, server, peer_client(network))
    assert outcome.admitted == []
    assert "TLS group" in outcome.refusals("server")[0]


@pytest.mark.parametrize("profile", ["sae-pq", "kme-pq"])
def test_certificate_of_the_sae_plane_between_nodes(network: Network, loop_factory: LoopFactory, profile: str) -> None:
    client = tls.peer_client(network.get(profile, "b"), network.lab.nodes_trust).expecting(NODE_A)
    outcome = visit(loop_factory, peer_server(network), client)
    assert_server_refused(outcome, "other CA")


def test_classical_certificate_between_nodes(network: Network, loop_factory: LoopFactory) -> None:
    policy = replace(tls_policy.PEER_CLIENT, schemes=f"mldsa65:{tls_policy.CLASSICAL_SCHEMES}")
    client = make_context(policy, [network.get("sae", "b")], [network.lab.nodes_trust]).expecting(NODE_A)
    outcome = visit(loop_factory, peer_server(network), client)
    assert outcome.admitted == []
    assert len(outcome.refusals("server")) == 1


def test_node_certificate_on_the_sae_plane(network: Network, loop_factory: LoopFactory) -> None:
    client = tls.sae_client(network.get("node", "b"), network.lab.saes_trust)
    outcome = visit(loop_factory, sae_server(network), client)
    assert_server_refused(outcome, "other CA")


def test_kme_certificate_used_by_a_client_on_the_sae_plane(network: Network, loop_factory: LoopFactory) -> None:
    client = tls.sae_client(network.get("kme", "kme-a"), network.lab.saes_trust)
    outcome = visit(loop_factory, sae_server(network), client)
    assert_server_refused(outcome, "wrong purpose")


def test_sae_certificate_used_by_a_server(network: Network, loop_factory: LoopFactory) -> None:
    server = tls.sae_server(network.get("sae", "x"), network.get("sae-pq", "x"), network.lab.saes_trust)
    outcome = visit(loop_factory, server, tls.sae_client(network.get("sae", "x"), network.lab.saes_trust))
    assert outcome.admitted == []
    assert "wrong purpose" in outcome.refusals("client")[0]


def test_device_certificates_open_no_other_plane(network: Network, loop_factory: LoopFactory) -> None:
    client = tls.sae_client(network.get("device-client", "b"), network.lab.saes_trust)
    assert_server_refused(visit(loop_factory, sae_server(network), client), "other CA")


def test_require_pq_refuses_a_classical_sae_and_admits_another(network: Network, loop_factory: LoopFactory) -> None:
    server = sae_server(network, require_pq=True)
    classical = tls.sae_client(network.get("sae", "x"), network.lab.saes_trust)
    outcome = visit(loop_factory, server, classical)
    assert outcome.admitted == []
    assert "in common" in outcome.refusals("server")[0]
    post_quantum = tls.sae_client(network.get("sae-pq", "x"), network.lab.saes_trust)
    (facts,) = visit(loop_factory, server, post_quantum).admitted
    assert facts is not None
    assert facts.names.sae == "x"


def test_plain_http_is_told_so_in_the_log(network: Network) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = peer_server(network).wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises((tls.TlsRefusedError, ssl.SSLWantReadError)):
        server.do_handshake()
    with pytest.raises(tls.TlsRefusedError, match="plain HTTP"):
        server.do_handshake()
