"""A private CA for tests of TLS."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from deploy.local.ports import HOST

USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Authority:
    """A private CA, whose certificates are files in a folder."""

    def __init__(self, folder: Path, lasts: timedelta = timedelta(days=1)) -> None:
        self._lasts = lasts
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private CA")])
        self.file = folder / "ca.pem"
        signs = {"key_cert_sign": True, "crl_sign": True}
        ca = self._certificate(
            self._name,
            self._key,
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.KeyUsage(**dict.fromkeys(USES, False) | signs), True),
            (x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False),
        )
        self.file.write_bytes(ca)

    def sign(self, name: str, *, password: str = "", by_rsa: bool = False) -> Path:
        """Return a file with a certificate and its key, encrypted where there is a password."""
        key = rsa.generate_private_key(65_537, 2_048) if by_rsa else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        hosts = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))])
        encryption = (
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption()
        )
        file = self._folder / f"{name}.pem"
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = self._certificate(subject, key, (hosts, False), (signer, False))
        file.write_bytes(key.private_bytes(pem, pkcs8, encryption) + certificate)
        return file

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> bytes:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + self._lasts)
        )
        for extension, critical in extensions:
            made = made.add_extension(extension, critical=critical)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
