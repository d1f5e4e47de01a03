"""Mutants of the steps of the append transaction: bugs, as changes of its source."""

from __future__ import annotations

import importlib
import inspect
import textwrap
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Change:
    """In the function `name` (`module:Class.function`), each `old` piece of its source becomes the new one."""

    name: str
    swaps: tuple[tuple[str, str], ...]

    def make(self) -> None:
        """Change the function in this process; raises ValueError if its source has no such piece, or several."""
        module_name, _, path = self.name.partition(":")
        *owners, name = path.split(".")
        module = importlib.import_module(module_name)
        owner = getattr(module, owners[0]) if owners else module
        source = textwrap.dedent(inspect.getsource(getattr(owner, name)))
        for old, new in self.swaps:
            if source.count(old) != 1:
                raise ValueError(f"{self.name} has {source.count(old)} times: {old}")
            source = source.replace(old, new)
        made: dict[str, object] = {}
        exec(compile(source, f"<mutant of {self.name}>", "exec"), vars(module), made)
        setattr(owner, name, made[name])


@dataclass(frozen=True)
class AppendMutant:
    """One bug, and which injected faults must find it."""

    step: int
    """Of the append transaction, as docs/architecture.md counts them."""
    changes: tuple[Change, ...]
    says: str
    """What the fault injection must say of it: a pattern that is searched for."""
    faults: tuple[str, ...] = ()
    """Patterns of faults at system calls, as they are written; none: kills of two processes at work."""
    engines: tuple[str, ...] = field(default=("sqlite", "postgresql"))


APPEND_MUTANTS: dict[str, AppendMutant] = {
    "a signature is not checked": AppendMutant(
        1,
        (
            Change(
                "storage.signatures:SignatureChecks.check",
                (
                    (
                        "verify(self._public(key), value, event_message(self._origin, event.raw))",
                        "self._public(key)",
                    ),
                ),
            ),
        ),
        "expected to be refused by signature",
        ("main read * EINTR",),
    ),
    "flock and BEGIN IMMEDIATE are dropped": AppendMutant(
        2,
        (
            Change(
                "storage.sql.database:Database.write",
                (("fcntl.flock(lock, fcntl.LOCK_EX)", "pass"),),
            ),
            Change("storage.sql.database:_sqlite", (('"BEGIN IMMEDIATE"', '"BEGIN"'),)),
        ),
        "nothing was appended",
        engines=("sqlite",),
    ),
    "the head is read without its lock": AppendMutant(
        2,
        (Change("storage.sql.entries:EntryStore.head", (('" FOR UPDATE"', '""'),)),),
        "nothing was appended",
        engines=("postgresql",),
    ),
    "an event's id is not looked up": AppendMutant(
        3,
        (
            Change(
                "storage.sql.entries:EntryStore.known",
                (
                    (
                        "return {event: Entry.parse(self.entry(connection, seq)) for event, seq in ids.items()}",
                        "return {}",
                    ),
                ),
            ),
        ),
        "acknowledged, and sent again",
        ("main read * EINTR",),
    ),
    "staged keys are not claimed": AppendMutant(
        4,
        (Change("storage.keytable:Claims.claim", (("return self._claim_blob(event)", "return"),)),),
        "expected to be refused by no_key",
        ("main read * EINTR",),
    ),
    "the root before the batch is signed": AppendMutant(
        5,
        (
            Change(
                "storage.log:Log._write",
                (("batch.chain.size, batch.frontier.root()", "batch.chain.size, head.root"),),
            ),
        ),
        "the tiles do not lead to the head's root",
        ("main read * EINTR",),
    ),
    "the head is written in a second transaction": AppendMutant(
        6,
        (
            Change(
                "storage.log:Log._write",
                (
                    (
                        "store.write_head(connection, new)",
                        'connection.exec_driver_sql("COMMIT")\n'
                        '    connection.exec_driver_sql("BEGIN")\n'
                        "    store.write_head(connection, new)",
                    ),
                ),
            ),
        ),
        "the table ends at",
        ("log pwrite64 * SIGKILL", "log sendto * SIGKILL"),
    ),
    "callers are told before the commit": AppendMutant(
        7,
        (
            Change(
                "storage.log:Log._run",
                (
                    (
                        "committing = True\n",
                        "committing = True\n"
                        "            for one in pending:\n"
                        "                one.committed.set_result(\n"
                        "                    CommittedBatch(outcomes, state.head.size, b'', no_node, no_node))\n",
                    ),
                ),
            ),
            Change(
                "storage.log:Log._tell",
                (("one.committed.set_result(", "(lambda committed: None)("),),
            ),
        ),
        # The last: a reading of a record whose upload was acknowledged, and never committed.
        "was acknowledged as entry|acknowledged, and sent again: Appended|record.opened was not appended: Denied",
        (
            "log fdatasync * EIO",
            "log pwrite64 * EIO",
            "log sendto * SIGKILL",
            "log pwrite64 * SIGKILL",
        ),
    ),
    "the state is kept when the outcome is unknown": AppendMutant(
        7,
        (Change("storage.log:Log._try", (("self._state = None", "pass"),)),),
        "",
        ("log fdatasync * EIO", "log pwrite64 * EIO", "log recvfrom * EIO"),
    ),
    "the trusted checkpoint is written before the commit": AppendMutant(
        7,
        (
            Change(
                "storage.log:Log._run",
                (
                    (
                        "committing = True\n",
                        "committing = True\n"
                        "            self._trusted.saw(state.head.size, state.head.checkpoint, self._clock())\n"
                        "            self._trusted.write_now()\n",
                    ),
                ),
            ),
        ),
        "were acknowledged",
        ("log fdatasync * SIGKILL", "log pwrite64 * SIGKILL", "log sendto * SIGKILL"),
    ),
}


def mutate(name: str) -> None:
    """AppendMutant one into this process."""
    for change in APPEND_MUTANTS[name].changes:
        change.make()
