"""A private CA for tests of TLS."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local.ports import HOST


class Authority:
    """A private CA, whose certificates are files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private CA")])
        self.file = folder / "ca.pem"
        ca = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.file.write_bytes(ca)

    def sign(self, name: str, *, password: str = "", host: str = HOST, lasts_s: float = 86_400) -> Path:
        """Return a file with a certificate, and its key, encrypted where there is a password."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        hosts = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(host))])
        encryption = (
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption()
        )
        file = self._folder / f"{name}.pem"
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        content = key.private_bytes(pem, pkcs8, encryption) + self._certificate(subject, key, hosts, lasts_s)
        file.write_bytes(content)
        return file

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        lasts_s: float = 86_400,
    ) -> bytes:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(seconds=lasts_s))
            .add_extension(extension, critical=False)
        )
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
