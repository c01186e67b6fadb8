"""Which authorities may sign the broker's certificate: a file that may be replaced at any time; it dials nothing."""

import logging
import ssl
from pathlib import Path

LOG = logging.getLogger(__name__)


class Trust:
    """A TLS context for clients that trusts what `ca_file` (PEM, one certificate or several) holds, and nothing else.

    The file may be missing yet: nobody is trusted until it is there. What was trusted once stays so in this process.
    """

    def __init__(self, ca_file: str) -> None:
        self._file = Path(ca_file)
        self._seen: tuple[int, int] | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the host name
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.refresh()

    def refresh(self) -> None:
        """Reads the file again if it has changed; to be called before a connection is tried again."""
        try:
            found = self._file.stat()
            if self._seen == (found.st_mtime_ns, found.st_ino):
                return
            self.context.load_verify_locations(cafile=str(self._file))
            self._seen = (found.st_mtime_ns, found.st_ino)
        except (OSError, ssl.SSLError) as error:
            LOG.warning("the broker's authorities cannot be read from %s: %s", self._file, error)
