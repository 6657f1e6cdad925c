"""Whom we know: nodes that may send or are asked, the callers that were refused, and what receiver processes have open.

Who gets in is decided in `main/access.py`, from these rows; nothing here is a patient's.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from dimse.peer import AE_TITLE, Peer
from dimse.tls import client_context

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*\.?")
_DOTTED = re.compile(r"[0-9.]+")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4096)
def network(text: str) -> Network | None:
    """Return an IP address or a network in CIDR form as a network; None when the text is neither.

    Raises
    ------
    ValueError
        When it is an address with a prefix length that cuts it: `10.0.0.7/24`.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        try:
            wider = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return None
        raise ValueError(f"{text} is no network: write {wider} or {text.partition('/')[0]}.") from None


def check_name(name: str) -> None:
    """Refuse a name that does not read well on one line."""
    if not name.isprintable() or name != name.strip():
        raise ValidationError("A name is one line of text, without spaces around.")


def check_ae_title(title: str) -> None:
    """Refuse what cannot be an AE title (PS3.5 6.2)."""
    if not isinstance(title, str) or not AE_TITLE.fullmatch(title) or title != title.strip():
        raise ValidationError(f"{title!r} is no AE title: 1 to 16 ASCII characters, no backslash, no spaces around.")


def check_ae_titles(titles: list[str]) -> None:
    """Refuse a list with something that is no AE title."""
    for title in titles:
        check_ae_title(title)


def check_host(text: str) -> None:
    """Refuse what is neither a host name nor an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text) or _DOTTED.fullmatch(text):
            raise ValidationError(f"{text!r} is neither a host name nor an IP address.") from None


def check_addresses(addresses: list[str]) -> None:
    """Refuse a list with something that is no host name, IP address or network."""
    for text in addresses:
        try:
            if network(text) is None:
                check_host(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _is_everything(text: str) -> bool:
    try:
        return ipaddress.ip_network(text, strict=False).prefixlen == 0
    except ValueError:
        return False


class Node(models.Model):
    """An application entity that we know: by what it is recognised when it calls, and where it is called.

    Empty `calling_ae_titles` or `addresses` recognise every one. A node with a `tls_subject` is recognised only by a
    client certificate with that subject. `quiet` seconds without news end a study of this node, `ask_count` asks it
    how many images the study has.
    """

    name = models.CharField(max_length=64, unique=True, validators=[check_name])
    calling_ae_titles = models.JSONField(default=list, blank=True, validators=[check_ae_titles])
    addresses = models.JSONField(default=list, blank=True, validators=[check_addresses])
    tls_subject = models.CharField(max_length=500, blank=True, default="")
    may_store = models.BooleanField(default=True)
    host = models.CharField(max_length=253, blank=True, default="", validators=[check_host])
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65_535)]
    )
    ae_title = models.CharField(max_length=16, blank=True, default="", validators=[check_ae_title])
    tls = models.BooleanField(default=False)
    ask_count = models.BooleanField(default=False)
    quiet = models.FloatField(null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(86_400)])
    last_test = models.JSONField(default=list, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(name=""), name="node_named")]

    @property
    def recognises_anybody(self) -> bool:
        """Whether no title, address or certificate is asked for."""
        anywhere = not self.addresses or any(map(_is_everything, self.addresses))
        return anywhere and not self.calling_ae_titles and not self.tls_subject

    def clean(self) -> None:
        """Refuse what contradicts itself."""
        if self.may_store and self.recognises_anybody:
            raise ValidationError(
                "Any AE title from any address would let everybody in. Give one of them, or a certificate's subject; "
                "to let everybody in, set DICOM_PUBLIC=yes instead."
            )
        called = {"host": self.host, "port": self.port, "ae_title": self.ae_title}
        missing = [name for name, value in called.items() if not value]
        if 0 < len(missing) < len(called):
            raise ValidationError(dict.fromkeys(missing, "To call a node, its host, port and AE title are needed."))
        if missing and (self.tls or self.ask_count):
            raise ValidationError({"host": "To ask it how many images there are, or by TLS, say where it is called."})

    def peer(self) -> Peer:
        """Return where and as whom it is called.

        Raises
        ------
        ValueError
            When it only calls us.
        dimse.errors.CertificateError
            When it is called by TLS and our certificate or CA cannot be used.
        """
        if not self.host or not self.port:
            raise ValueError(f"{self.name} has no host and port: it only calls us.")
        ours = settings.DICOM_TLS_CERTIFICATE, settings.DICOM_TLS_KEY
        return Peer(
            self.host,
            self.port,
            self.ae_title,
            settings.DICOM_AE_TITLE,
            silence_timeout=settings.DICOM_PEER_TIMEOUT,
            tls=client_context(settings.DICOM_TLS_CA, *ours) if self.tls else None,
        )


class Refusal(models.Model):
    """A caller that was refused on a day, for a reason: how often, and when last. Texts are foreign.

    The number of rows a day is bounded; those who find no room are counted in one row without address and titles.
    """

    day = models.DateField()
    address = models.CharField(max_length=64, blank=True, default="")
    calling_ae_title = models.CharField(max_length=16, blank=True, default="")
    called_ae_title = models.CharField(max_length=16, blank=True, default="")
    reason = models.CharField(max_length=24)
    count = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "address", "calling_ae_title", "called_ae_title", "reason"], name="refusal_once_a_day"
            ),
        ]


class ReceiverProcess(models.Model):
    """The last sign of life of a receiver process: where it listens and the associations that it has open."""

    name = models.CharField(max_length=80, unique=True)
    at = models.DateTimeField()
    listening = models.JSONField(default=list)
    associations = models.JSONField(default=list)
