"""Where browsers reach the service: what passkeys are bound to."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from identity.errors import FactorConflict


@dataclass(frozen=True)
class Site:
    """Where browsers reach the service: what passkeys are bound to."""

    origin: str
    """`https://host[:port]`, as browsers say it; empty where passkeys aren't offered."""

    @property
    def host(self) -> str:
        """The relying party's id; raises FactorConflict where passkeys aren't offered."""
        host = urlsplit(self.origin).hostname
        if not host:
            raise FactorConflict("passkeys aren't offered here: HEARTWOOD_WEB_ORIGIN is not set")
        return host
