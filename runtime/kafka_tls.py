"""TLS to the brokers: whom we trust, and what we show of ourselves, read from files."""

import ssl
from pathlib import Path
from typing import Any, Self

from cryptography import x509

from runtime import metrics


class BrokersTls(ssl.SSLContext):
    """Reads its files anew for each connection: certificates and CAs are renewed while services run.

    Raises `OSError` where they cannot be read, also from a connection, which is then tried again.
    """

    def __new__(cls, _ca_file: str, _cert_file: str, _key_file: str, _key_password: str) -> Self:
        """Make a client's context: it asks for a certificate that bears the broker's name."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, ca_file: str, cert_file: str, key_file: str, key_password: str) -> None:
        """Without ``ca_file`` the system's CAs are trusted; ``cert_file`` may hold the key as well."""
        self._ca_file = ca_file
        self._cert_file = cert_file
        self._key_file = key_file
        self._key_password = key_password
        self._new_context()
        if cert_file:
            metrics.KAFKA_CERTIFICATE_EXPIRES.set_function(self.expires_at)

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        """Begin a connection, as asyncio and uvloop do."""
        return self._new_context().wrap_bio(*args, **named)

    def expires_at(self) -> float:
        """Return when the certificate on disk expires, since 1970; 0 if it cannot be read."""
        try:
            ours, *_ = x509.load_pem_x509_certificates(Path(self._cert_file).read_bytes())
        except (OSError, ValueError):
            return 0.0
        return ours.not_valid_after_utc.timestamp()

    def _new_context(self) -> ssl.SSLContext:
        """Read the files. An old context would keep all CAs, and a certificate of each kind of key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except OSError as error:
                raise OSError(f"KAFKA_CA_FILE ({self._ca_file}) cannot be used: {error}") from error
        else:
            context.load_default_certs()
        if self._cert_file:
            key_file = self._key_file or self._cert_file
            try:
                context.load_cert_chain(self._cert_file, key_file, self._say_password)
            except OSError as error:
                raise OSError(
                    f"KAFKA_CERT_FILE ({self._cert_file}) cannot be used with its key ({key_file}) and "
                    f"KAFKA_KEY_PASSWORD: {error}"
                ) from error
        return context

    def _say_password(self) -> str:
        """Return the password, which may be empty: without this callback OpenSSL asks at the terminal."""
        return self._key_password
