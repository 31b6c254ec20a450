"""Certificates: your own, or one made here for this machine, with what clients need to trust it."""

from __future__ import annotations

import contextlib
import datetime
import re
import shutil
import socket
import ssl
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from duologue.errors import ConfigurationError, MissingExtra

__all__ = ["Certificate", "own_certificate", "self_signed"]

_DAYS: Final = 820
"""Apple's systems trust no certificate that is valid for longer than 825 days."""
_DAYS_LEFT: Final = 7
"""One that ends sooner is made anew."""
_ANYWHERE: Final = {"0.0.0.0", "::"}  # noqa: S104  # no names: there is nothing to certify


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows, and what clients must trust for it."""

    cert_file: Path
    """PEM: the certificate, and those that lead to its root."""
    key_file: Path
    """PEM, without a password; may be the same file."""
    ca_file: Path | None = None
    """PEM: the root to be trusted; `None` if clients know it already."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers show it; of one made here."""
        digest = sha256(ssl.PEM_cert_to_DER_cert(self.cert_file.read_text())).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def own_certificate(cert_file: Path, key_file: Path) -> Certificate:
    """Return a certificate of the user's.

    Raises:
        ConfigurationError: If the files are no certificate and its key.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert_file, key_file, password="")
    except (OSError, ValueError) as error:  # `SSLError` is an `OSError`
        reason = getattr(error, "strerror", None) or str(error)
        fix = "pass PEM files, the key without a password"
        message = f"cannot use {cert_file} with {key_file}: {reason}; {fix}"
        raise ConfigurationError(message) from error
    return Certificate(cert_file, key_file)


def self_signed(host: str, folder: Path) -> Certificate:
    """Return a certificate for this machine, made when the folder holds none that is still good.

    Its root signs nothing else, ever: the root's key is forgotten at once.

    Args:
        host: A name or address besides `localhost`, `127.0.0.1` and `::1`.
        folder: Where certificates are kept, so that clients need to be told only once.

    Raises:
        MissingExtra: If trustme is not installed.
    """
    kept = folder / re.sub(r"[^\w.-]", "_", host)
    certificate = Certificate(kept / "cert.pem", kept / "key.pem", kept / "ca.pem")
    try:
        from cryptography import x509  # noqa: PLC0415  # an extra
        from trustme import CA  # noqa: PLC0415  # as above
    except ImportError as error:
        raise MissingExtra("tls", "Making a certificate") from error

    today = datetime.datetime.now(datetime.UTC)  # noqa: TID251  # certificates are dated
    with contextlib.suppress(OSError, ValueError):  # there is none, or what is there is none
        ends = x509.load_pem_x509_certificate(
            certificate.cert_file.read_bytes()
        ).not_valid_after_utc
        if ends - today > datetime.timedelta(days=_DAYS_LEFT):
            return certificate
    root = CA(organization_name="duologue", organization_unit_name="of this machine")
    leaf = root.issue_cert(*_names(host), not_after=today + datetime.timedelta(days=_DAYS))
    folder.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder))  # readable by this user alone
    root.cert_pem.write_to_path(fresh / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(fresh / "cert.pem")
    leaf.private_key_pem.write_to_path(fresh / "key.pem")
    shutil.rmtree(kept, ignore_errors=True)
    fresh.rename(kept)
    return certificate


def _names(host: str) -> list[str]:
    name = socket.gethostname() if host in _ANYWHERE else host.partition("%")[0]
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", name]))
