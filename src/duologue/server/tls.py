"""TLS certificates: your own, or a self-signed one for this machine."""

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
"""A certificate that expires sooner is replaced."""
_ANYWHERE: Final = {"0.0.0.0", "::"}  # noqa: S104  # these are no names that a certificate could contain


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a server's certificate, and of the root that its clients must trust."""

    cert_file: Path
    """PEM: the certificate, and its chain up to the root."""
    key_file: Path
    """PEM, without a password; may be the same file."""
    ca_file: Path | None = None
    """PEM: the root certificate; `None` if clients trust it already."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of a self-signed certificate, as browsers show it."""
        digest = sha256(ssl.PEM_cert_to_DER_cert(self.cert_file.read_text())).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def own_certificate(cert_file: Path, key_file: Path) -> Certificate:
    """Return the user's own certificate.

    Raises:
        ConfigurationError: If the files are not a certificate and its key.
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
    """Return a certificate for this machine; make one unless the folder has one that is valid.

    The key of its root is forgotten at once, so that the root can never sign anything else.

    Args:
        host: Name or address, in addition to `localhost`, `127.0.0.1` and `::1`.
        folder: Keeps certificates, so that clients need to trust the root only once.

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

    today = datetime.datetime.now(datetime.UTC)  # noqa: TID251  # certificates contain dates
    with contextlib.suppress(OSError, ValueError):  # there is no certificate, or no valid one
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
