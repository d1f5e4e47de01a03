"""The catalogue of problems: `python -m api.http.catalogue > docs/problems.md`."""

from api.http.problems import MEDIA_TYPE, PROBLEMS, TYPE_PREFIX

_HEAD = f"""\
# Problems

Every error is an RFC 9457 document, `{MEDIA_TYPE}`, with `type`, `title`, `status` and `detail`. Go by `type`, which
never changes its meaning; titles and details may be worded anew. This page is made by `python -m api.http.catalogue`.

| `type`: `{TYPE_PREFIX}`… | status | what it means | `Retry-After` |
| --- | --- | --- | --- |
"""
_TAIL = """
Some have more members: `denied` has `rule` and `reason` (as the asker is told them), `already_used` has `seq` and `receipt`.

After a problem nothing was appended, with three exceptions: a `denied` reading stands in the log as a refusal;
`already_used` says which entry it is; `outcome_unknown` may or may not stand, and the same bytes sent again tell. On the
routes of readings `keeper`, `blob`, `database` and `bug` may come after the entry; the same bytes then are `already_used`.
In answers to lists and bundles the same documents stand in the place of what was refused.
"""


def catalogue() -> str:
    """The page, in the order of the types."""
    rows = [
        f"| `{name}` | {kind.status} | {kind.title} | {f'{kind.retry_after} s' if kind.retry_after else ''} |"
        for name, kind in sorted(PROBLEMS.items())
    ]
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


if __name__ == "__main__":
    print(catalogue(), end="")
