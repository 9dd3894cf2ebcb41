"""Why a handshake failed, in words that an operator understands."""

import ssl
from collections.abc import Sequence
from typing import Final

from quiver.domain.errors import HandshakeError
from quiver.net import tls_native

__all__ = ["TlsRefusedError", "refusal_in", "words_for_certificate", "words_for_error"]


class TlsRefusedError(ssl.SSLError, HandshakeError):
    """This side refused its peer, or the peer refused this side. asyncio, uvloop and aiohttp take it for an `ssl.SSLError`."""

    def __init__(self, message: str) -> None:
        ssl.SSLError.__init__(self, ssl.SSL_ERROR_SSL, message)
        self.message = message
        self.details = {}
        self.reason = message

    def __str__(self) -> str:
        return self.message


def refusal_in(error: BaseException | None) -> TlsRefusedError | None:
    """The refusal behind an exception, as behind aiohttp's `ClientConnectorSSLError`, if there is one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, TlsRefusedError):
            return error
        seen.add(id(error))
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
    return None


# X509_V_ERR codes, openssl-verification-options(1)
_CERTIFICATE: Final = {
    2: "other CA: the issuer's certificate is missing",
    7: "other CA: the signature of the certificate is wrong",
    9: "the certificate is not valid yet",
    10: "expired certificate",
    18: "other CA: a self-signed certificate that is not trusted here",
    19: "other CA: its root is not trusted here",
    20: "other CA: no certificate trusted on this plane has issued it",
    21: "other CA: the chain cannot be verified",
    23: "revoked certificate",
    26: "wrong purpose: the extended key usage does not allow this side of a connection",
    79: "wrong certificate: the issuer is no certification authority",
}


def words_for_certificate(code: int) -> str:
    """Words for an X.509 verification error of OpenSSL."""
    return _CERTIFICATE.get(code) or f"bad certificate: {tls_native.verify_text(code)}"


_REASONS: Final = (
    ("peer did not return a certificate", "no certificate"),
    ("callback failed", "TLS group: the first key share is for none of the groups that are allowed here"),
    ("no suitable key share", "TLS group: no group in common (allowed here: {groups})"),
    ("no shared group", "TLS group: no group in common (allowed here: {groups})"),
    ("bad key share", "TLS group: a group that is not allowed here (allowed here: {groups})"),
    ("no suitable groups", "TLS group: no group in common (allowed here: {groups})"),
    ("unsupported protocol", "TLS version: the peer offers none that is allowed here"),
    ("unsupported signature", "signature: the peer's certificate has a key that is not allowed here"),
    ("no suitable signature algorithm", "signature: no signature scheme in common (allowed here: {schemes})"),
    ("no shared signature alg", "signature: no signature scheme in common (allowed here: {schemes})"),
    ("wrong signature type", "signature: the peer signed with a scheme that is not allowed here"),
    ("wrong certificate type", "signature: the peer's certificate has a key that is not allowed here"),
    ("unknown certificate type", "signature: the peer's certificate has a key that is not allowed here"),
    ("no shared cipher", "cipher: no cipher suite in common"),
    ("wrong version number", "the peer does not speak TLS"),
    ("http request", "the peer does not speak TLS but plain HTTP"),
    ("packet length", "the peer does not speak TLS"),
    ("inappropriate fallback", "TLS version: the peer fell back to an older one"),
)
_ALERTS: Final = (
    ("certificate required", "it wants a certificate and got none"),
    ("unknown ca", "our certificate is from a CA that it does not trust"),
    ("certificate expired", "our certificate has expired"),
    ("certificate revoked", "our certificate is revoked"),
    ("unsupported certificate", "our certificate is not for this purpose"),
    ("certificate unknown", "our certificate is not acceptable to it"),
    ("bad certificate", "our certificate is not acceptable to it"),
    ("protocol version", "TLS version: none in common"),
    ("handshake failure", "nothing in common: group, signature scheme, certificate or cipher"),
    ("insufficient security", "what we offer is too weak for it"),
    ("access denied", "our certificate names somebody whom it does not admit"),
)


def words_for_error(errors: Sequence[tuple[str, str, str]], groups: str, schemes: str) -> str:
    """Words for what OpenSSL's error queue holds; an alert of the peer begins with `the peer refused us`."""
    reasons = [reason.lower() for _, _, reason in errors]
    for reason in reasons:
        if "alert" in reason and "number" not in reason:
            for mark, words in _ALERTS:
                if mark in reason:
                    return f"the peer refused us: {words}"
            return f"the peer refused us: {reason}"
    for reason in reasons:
        for mark, words in _REASONS:
            if mark in reason:
                return words.format(groups=groups, schemes=schemes)
    return "; ".join(reasons) or "the connection ended in the handshake"
