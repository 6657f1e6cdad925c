"""TLS for associations, by BCP 195 (RFC 8996 and RFC 9325) as PS3.15 B.12 asks for: TLS 1.2 and later, forward secrecy.

Contexts only, and what a failed handshake means in words; sockets are wrapped by those who open and accept them.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from dimse.errors import AssociationError, CertificateError

# For TLS 1.2; those of TLS 1.3 are all as good (RFC 9325 4.2).
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(certificate: Path, key: Path, ca: Path | None = None) -> ssl.SSLContext:
    """Return the context of a side that listens.

    Parameters
    ----------
    certificate, key : Path
        PEM files: our certificate with the intermediate ones behind it, and its private key without a password.
    ca : Path, optional
        A PEM file of certification authorities. With it every caller has to show a certificate that one of them issued.

    Raises
    ------
    CertificateError
        When a file cannot be read or does not fit.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    _load_own(context, certificate, key)
    if ca is not None:
        _load_authorities(context, ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return the context of a side that opens associations; the other side's certificate and name are always checked.

    Parameters
    ----------
    ca : Path, optional
        A PEM file of certification authorities; the system's when not given.
    certificate, key : Path, optional
        What we show when we are asked for a certificate; the key may be in the same file.

    Raises
    ------
    CertificateError
        When a file cannot be read or does not fit.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, ca)
    if certificate is not None:
        _load_own(context, certificate, key or certificate)
    return context


def failure(name: str, error: OSError) -> AssociationError:
    """Return the error for a TLS connection to `name` that did not come about, or was ended with an alert."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"has a certificate that is not accepted here: {error.verify_message.rstrip('.')}"
        advice = "Check its certificate, the name by which it is called, and the CA that is configured for it."
    elif isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        reason = f"refused the TLS connection: {_alert(error)}"
        advice = "Check there which client certificates it accepts, and here which one we show."
    else:
        reason = "does not speak TLS 1.2 or later as BCP 195 wants it"
        advice = "Check that this is its TLS port."
    return AssociationError("tls", f"{name} {reason}. Will retry. {advice}")


def close(sock: socket.socket) -> None:
    """Close a socket; under TLS say so before (RFC 8446 6.1), without waiting for anybody."""
    if isinstance(sock, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            sock.settimeout(0)
            sock.unwrap()
    sock.close()


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS)
    return context


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for path in (certificate, key):
        _readable(path)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError):
        raise CertificateError(
            f"The certificate {certificate} and the key {key} cannot be used: both have to be PEM files, the key that of "
            "the first certificate and without a password, and not weaker than 2048 bits of RSA or 224 of a curve."
        ) from None


def _load_authorities(context: ssl.SSLContext, ca: Path) -> None:
    _readable(ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise CertificateError(f"{ca} has no certificate of a certification authority: it has to be PEM.") from None


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise CertificateError(f"{path} cannot be read ({error.strerror}).") from None


def _alert(error: ssl.SSLError) -> str:
    """Return the name of an alert: TLSV13_ALERT_CERTIFICATE_REQUIRED is 'certificate required'."""
    return (error.reason or "").partition("ALERT_")[2].replace("_", " ").lower() or "no reason given"
