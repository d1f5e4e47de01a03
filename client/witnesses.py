"""Asking a witness over HTTP, bounded in bytes and in time: it need not be honest (C2SP tlog-witness)."""

import httpx2

from client.connection import pace
from ledger.submitting import ANSWER_LIMIT, Answered, WitnessFailed
from ledger.witnessing import ADD_CHECKPOINT

WAIT_SECONDS = 5.0
"""How long a witness may take to connect, and for each piece that is sent or comes."""
ANSWER_SECONDS = 10.0
"""How long its whole answer may take."""


class WitnessConnection:
    """Posts submissions to witnesses. Thread-safe."""

    def __init__(self) -> None:
        """Nothing is sent yet. Redirects are not followed: the policy says where a witness is."""
        self._client = httpx2.Client(
            timeout=WAIT_SECONDS, headers={"Accept-Encoding": "identity"}, follow_redirects=False
        )
        pace(self._client, ANSWER_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, url: str, body: bytes) -> Answered:
        """The answer of the witness whose prefix is `url`; raises WitnessFailed."""
        try:
            with self._client.stream(
                "POST", url.rstrip("/") + ADD_CHECKPOINT, content=body
            ) as response:
                data = b""
                for piece in response.iter_raw():
                    data += piece
                    if len(data) > ANSWER_LIMIT:
                        raise WitnessFailed(f"its answer has more than {ANSWER_LIMIT} bytes")
                return Answered(response.status_code, data)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, ValueError) as error:
            raise WitnessFailed(f"it does not answer: {error or type(error).__name__}") from error
