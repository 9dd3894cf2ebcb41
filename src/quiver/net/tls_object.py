"""One TLS connection: pyOpenSSL behind the interface of `ssl.SSLObject`, for asyncio, uvloop and aiohttp."""

import ssl
from typing import Any, Final, NoReturn

import structlog
from cryptography import x509
from OpenSSL import SSL

from quiver.net.tls_judge import Judgement
from quiver.net.tls_names import PeerFacts, key_name
from quiver.net.tls_native import Outbox, resumed
from quiver.net.tls_refusal import TlsRefusedError, words_for_error

__all__ = ["TlsObject"]

_log = structlog.get_logger("quiver.net.tls")

_HEADER: Final = 5  # bytes of a TLS record's header: type, version, length (RFC 9846 section 5.1)
_PLAIN: Final = 16_384  # bytes of content in one record at most


class TlsObject:
    """Moves bytes between two `ssl.MemoryBIO` and OpenSSL, *one record at a time*.

    uvloop asks how much is pending in the incoming BIO, and in `pending`, to decide whether to read on: had OpenSSL
    swallowed more than the record it works on, what came with the end of a handshake would lie there unseen.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        native: SSL.Context,
        judgement: Judgement,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        self.context: Final = context
        self._judgement: Final = judgement
        self._policy: Final = judgement.policy
        self._incoming: Final = incoming
        self._outgoing: Final = outgoing
        self._connection: Final = SSL.Connection(native)
        self._connection.set_app_data(judgement)
        self._outbox: Final = Outbox(self._connection)
        self._header = b""  # the part of a record's header that has come
        self._left = 0  # bytes of the current record that OpenSSL has not got yet
        self._failed: TlsRefusedError | None = None
        self._ended = False  # the peer's close_notify has come
        self._facts: PeerFacts | None = None
        if self.server_side:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
            if judgement.server_name is not None:
                self._connection.set_tlsext_host_name(judgement.server_name.encode("idna"))

    @property
    def server_side(self) -> bool:
        """Whether this side accepted the connection."""
        return self._policy.server_side

    # --- bytes ---

    def _feed(self) -> bool:
        """Give OpenSSL the rest of the current record, or the next one, as far as it is here. False: nothing is."""
        if not self._left:
            self._header += self._incoming.read(_HEADER - len(self._header))
            if len(self._header) < _HEADER:
                return False
            self._left = int.from_bytes(self._header[3:], "big")
            part = self._incoming.read(self._left) if self._left else b""
            self._left -= len(part)
            part = self._header + part
            self._header = b""
        else:
            part = self._incoming.read(self._left)
            self._left -= len(part)
        if not part:
            return False
        self._connection.bio_write(part)
        return True

    def _drain(self) -> None:
        while part := self._outbox.take():
            self._outgoing.write(part)

    def _starve(self) -> NoReturn:
        """There is no record to go on with."""
        if self._incoming.eof:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without close_notify")
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the operation did not complete (read)")

    def _refuse(self, error: SSL.Error) -> TlsRefusedError:
        """Log why this connection is over and make the exception for it."""
        raised = error.args[0] if error.args and isinstance(error.args[0], list) else []
        reason = self._judgement.reason or words_for_error(raised, self._policy.groups, self._policy.schemes)
        return self._say(reason)

    def _say(self, reason: str) -> TlsRefusedError:
        side = "server" if self.server_side else "client"
        if not self._judgement.quiet:
            peer = self._judgement.peer_words
            _log.warning("handshake refused", plane=self._policy.plane, side=side, reason=reason, peer=peer)
        self._failed = TlsRefusedError(f"TLS handshake on the {self._policy.plane} plane refused: {reason}")
        return self._failed

    # --- ssl.SSLObject ---

    def do_handshake(self) -> None:
        """Go on with the handshake.

        A server that refuses says so to asyncio only when the peer has hung up or sends more: asyncio drops what is to be
        sent once a handshake has failed, and the peer would never get the alert that tells it why.

        Raises:
            ssl.SSLWantReadError: more bytes of the peer are needed.
            TlsRefusedError: either side refused the other.
        """
        if self._failed is not None:
            raise self._failed
        while True:
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                self._drain()
                if not self._feed():
                    self._starve()
                continue
            except SSL.SysCallError as error:
                raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended in the handshake") from error
            except SSL.Error as error:
                refused = self._refuse(error)
                self._drain()
                if self.server_side and self._outgoing.pending:
                    raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "refused; the alert is to be sent") from None
                raise refused from None
            break
        self._drain()
        if self._judgement.certificate is None or resumed(self._connection):
            raise self._say("no certificate was checked in this handshake")
        if not self._judgement.quiet:
            _log.debug("handshake done", plane=self._policy.plane, peer=self._judgement.peer_words)

    def read(self, length: int = _PLAIN, buffer: bytearray | memoryview | None = None) -> bytes | int:
        """Read up to `length` bytes, into `buffer` where one is given; nothing (b"" or 0) when the peer has closed.

        Raises:
            ssl.SSLWantReadError: nothing is here now. ssl.SSLError: the connection failed; a TlsRefusedError where the peer
            refuses this side's certificate, which in TLS 1.3 a
                client learns only after its own part of the handshake.
        """
        received = b"" if self._ended else self._receive(min(length, _PLAIN))
        if buffer is None:
            return received
        buffer[: len(received)] = received
        return len(received)

    def _receive(self, length: int) -> bytes:
        if self._failed is not None:
            raise self._failed
        if length <= 0:
            return b""
        while True:
            if not self._connection.pending() and not self._feed():
                self._drain()
                self._starve()
            try:
                received = self._connection.recv(length)
            except SSL.WantReadError:
                continue
            except SSL.ZeroReturnError:
                self._ended = True
                self._drain()
                return b""
            except SSL.SysCallError as error:
                raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without close_notify") from error
            except SSL.Error as error:
                self._drain()
                raise self._refuse(error) from None
            self._drain()
            return received

    def write(self, content: bytes | bytearray | memoryview) -> int:
        """Encrypt all of `content` into the outgoing BIO; its length in bytes.

        Raises:
            ssl.SSLError: the connection is closed or failed.
        """
        if not len(content):
            return 0
        if self._failed is not None:
            raise self._failed
        try:
            self._connection.sendall(content)
        except SSL.WantReadError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the handshake is not done") from None
        except SSL.ZeroReturnError:
            raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the connection is closed") from None
        except SSL.Error as error:
            raise self._broken(error) from None
        finally:
            self._drain()
        return memoryview(content).nbytes

    def _broken(self, error: SSL.Error) -> ssl.SSLError:
        return ssl.SSLError(ssl.SSL_ERROR_SSL, f"TLS connection broken: {error.args!r}")

    def pending(self) -> int:
        """Bytes that are decrypted and not read."""
        return int(self._connection.pending())

    def unwrap(self) -> None:
        """Send close_notify and wait for the peer's; what it still sends is thrown away.

        Raises:
            ssl.SSLWantReadError: the peer's close_notify has not come.
            ssl.SSLError: the connection failed.
        """
        if self._failed is not None:
            raise self._failed
        try:
            closed = self._connection.shutdown()
        except SSL.WantReadError:
            closed = False
        except SSL.Error as error:
            raise self._broken(error) from None
        finally:
            self._drain()
        while not closed and self._receive(_PLAIN):
            pass

    # --- facts ---

    @property
    def facts(self) -> PeerFacts:
        """What protects this connection and whom the peer's certificate names.

        Raises:
            ValueError: the handshake is not done.
        """
        if self._facts is None:
            certificate = self._judgement.certificate
            if certificate is None or self._judgement.names is None:
                message = "the handshake is not done"
                raise ValueError(message)
            own = self._connection.get_certificate(as_cryptography=True)
            self._facts = PeerFacts(
                names=self._judgement.names,
                version=self._connection.get_protocol_version_name(),
                group=self._connection.get_group_name() or "",
                cipher=self._connection.get_cipher_name() or "",
                signature=key_name(certificate.public_key()),
                own_signature=key_name(own.public_key()) if own is not None else "",
                expires=certificate.not_valid_after_utc,
                serial=certificate.serial_number,
                issuer=certificate.issuer.rfc4514_string(),
            )
        return self._facts

    @property
    def certificate(self) -> x509.Certificate | None:
        """The peer's certificate, once verified."""
        return self._judgement.certificate

    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The peer's certificate as DER, or its names as `ssl.SSLSocket.getpeercert` has them."""
        certificate, names = self._judgement.certificate, self._judgement.names
        if certificate is None or names is None:
            return None
        if binary_form:
            return self._judgement.der()
        alternative = [("DNS", dns) for dns in names.dns] + [("URI", uri) for uri in names.uris]
        alternative += [("IP Address", address) for address in names.addresses]
        return {
            "subject": ((("commonName", names.common_name),),) if names.common_name else (),
            "subjectAltName": tuple(alternative),
            "notAfter": certificate.not_valid_after_utc.strftime("%b %d %H:%M:%S %Y GMT"),
            "serialNumber": f"{certificate.serial_number:X}",
        }

    def selected_alpn_protocol(self) -> str | None:
        """None: this adapter speaks HTTP/1.1 and negotiates nothing."""
        return None

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, TLS version and secret bits of the cipher."""
        name = self._connection.get_cipher_name()
        if name is None:
            return None
        return name, self._connection.get_cipher_version() or "", self._connection.get_cipher_bits() or 0

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """None: not kept."""
        return None

    def version(self) -> str | None:
        """The TLS version, as "TLSv1.3"."""
        return self._connection.get_protocol_version_name()

    def compression(self) -> None:
        """None: never."""
        return
