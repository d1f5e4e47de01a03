"""Parts of an upload: the same bytes, each part but the last of the size that was asked for."""

from hypothesis import given
from hypothesis import strategies as st

from storage.blobs.uploading import gathered


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_parts_are_the_chunks(chunks: list[bytes], size: int) -> None:
    parts = list(gathered(chunks, size))
    assert b"".join(parts) == b"".join(chunks)
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)
