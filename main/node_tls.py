"""Tries a TLS handshake by itself, and says in words what certificates, versions and ports do not fit."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SOON = timedelta(days=30)
# How long a server of TLS 1.3 has to refuse our certificate, which it does after the handshake.
REFUSES_WITHIN = 0.5

_EXPIRED, _NOT_YET, _NAME, _ADDRESS = 10, 9, 62, 64
_VERIFIED = {
    _EXPIRED: ("Its certificate has expired.", "Renew the certificate there."),
    _NOT_YET: ("Its certificate is not valid yet.", "Check the clocks of both machines, then the certificate there."),
    _NAME: ("Its certificate is for another host name.", "Write the host here as it stands in the certificate."),
    _ADDRESS: (
        "Its certificate does not name this IP address.",
        "Write the host here as it stands in the certificate.",
    ),
}
_UNKNOWN_ISSUER = (
    "Its certificate is signed by nobody whom we trust.",
    "Put the CA that signed it (or the certificate itself) into the file that DICOM_TLS_CA names.",
)
# By the alert that the other side sent, as OpenSSL calls it.
_ALERTS = {
    "CERTIFICATE_REQUIRED": (
        "It wants a certificate from us.",
        "Set DICOM_TLS_CERTIFICATE and DICOM_TLS_KEY, and let it trust that certificate there.",
    ),
    "UNKNOWN_CA": ("It does not trust our certificate.", "Add the CA of DICOM_TLS_CERTIFICATE there."),
    "BAD_CERTIFICATE": ("It does not accept our certificate.", "Look at its log; compare certificate and CA there."),
    "CERTIFICATE_EXPIRED": ("Our certificate has expired.", "Renew the one that DICOM_TLS_CERTIFICATE names."),
    "HANDSHAKE_FAILURE": (
        "It has no cipher in common with us, or wants a certificate from us.",
        "Let it use TLS 1.2 or 1.3 with the ciphers of BCP 195; if it asks for certificates, set DICOM_TLS_CERTIFICATE.",
    ),
    "PROTOCOL_VERSION": ("It speaks only versions of TLS that are no longer safe.", "Enable TLS 1.2 or 1.3 there."),
}
_OLD_VERSION = _ALERTS["PROTOCOL_VERSION"]
_PLAIN = ("It does not speak TLS on this port.", "Switch TLS off for this node, or take its TLS port.")


@dataclass(frozen=True)
class Handshake:
    """How a handshake ended, in words."""

    ok: bool
    says: str
    do: str = ""


def handshake(host: str, port: int, context: ssl.SSLContext, within: float) -> Handshake:
    """Connect, shake hands, wait a moment for a refusal, and hang up."""
    try:
        with (
            socket.create_connection((host, port), within) as plain,
            context.wrap_socket(plain, server_hostname=host) as sock,
        ):
            sock.settimeout(REFUSES_WITHIN)
            try:
                if not sock.recv(1):
                    return Handshake(
                        False,
                        "It ended the connection after the handshake.",
                        "It may want a certificate from us: set DICOM_TLS_CERTIFICATE and DICOM_TLS_KEY.",
                    )
            except TimeoutError:
                pass
            return _agreed(sock)
    except ssl.SSLCertVerificationError as error:
        return Handshake(False, *_VERIFIED.get(error.verify_code, _UNKNOWN_ISSUER))
    except ssl.SSLError as error:
        return Handshake(False, *_failed(error))
    except TimeoutError:
        return Handshake(False, f"It was silent for {within:g} s when TLS began.", _PLAIN[1])
    except OSError:
        return Handshake(False, "It closed the connection when TLS began.", _PLAIN[1])


def speaks_tls(host: str, port: int, within: float) -> bool:
    """Whether something on this port answers in TLS, whoever it is; nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), within) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError as error:
        return _alert(error) is not None
    except OSError:
        return False


def _agreed(sock: ssl.SSLSocket) -> Handshake:
    says = f"{sock.version()}, {(sock.cipher() or ('unknown cipher',))[0]}."
    until = (sock.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        return Handshake(True, says)
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
    says += f" Its certificate is good until {end:%Y-%m-%d}."
    return Handshake(True, says, "Renew the certificate there soon." if end - datetime.now(UTC) < SOON else "")


def _failed(error: ssl.SSLError) -> tuple[str, str]:
    reason = error.reason or ""
    if reason == "UNSUPPORTED_PROTOCOL":
        return _OLD_VERSION
    alert = _alert(error)
    if alert is None:
        return _PLAIN
    return _ALERTS.get(alert, ("It refused the handshake.", "Look at its log; compare versions and certificates."))


def _alert(error: ssl.SSLError) -> str | None:
    """Return the alert that the other side sent: OpenSSL writes `TLSV1_ALERT_UNKNOWN_CA`; None without one."""
    _, found, name = (error.reason or "").partition("_ALERT_")
    return name if found else None
