"""The commands of `python -P -m ledger`, and how a tool ends: one line and one code, whatever happens."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from crypto.errors import CryptoError, FormError
from crypto.texts import printable
from ledger.auditor import check_against, check_history_proof, check_receipt, verify_export
from ledger.copies import check_copy
from ledger.errors import EventError, LedgerError
from ledger.files import export_reader, read_policy, read_proof, read_receipt, read_vkeys
from ledger.histories import is_history
from ledger.registry import registry_hash, registry_json
from ledger.remarks import parse_now


def main(arguments: Sequence[str]) -> int:
    """`verify DIR`, `check RECEIPT`, `registry`; prints a report and gives the exit code."""
    options = _parser().parse_args(arguments)
    return run_tool(lambda: int(options.run(options)))


def run_tool(work: Callable[[], int]) -> int:
    """The exit code of `work`, which prints a report; what it raises becomes one line and its code.

    1: wrong. 2: what was given is not of its form, which proves nothing. 4: could not run, whatever the
    reason: a failure of the tool says nothing about the log.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows no other letters
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = work()
        sys.stdout.flush()
        return code
    except FormError as error:
        return _failed(2, "used wrongly", error)
    except (LedgerError, CryptoError) as error:
        return _failed(1, "WRONG", error)
    except OSError as error:
        _abandon_output()
        return _failed(4, "could not run", error)
    except Exception as error:
        words = f"{type(error).__name__}: {error}".removesuffix(": ")
        return _failed(4, "could not run", words)


def _abandon_output() -> None:
    """What standard output could not take goes nowhere; else the interpreter, too, fails on it as it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(code: int, what: str, error: object) -> int:
    print(printable(f"{what}: {error}"), file=sys.stderr)
    return code


def tell(lines: Sequence[str]) -> None:
    """Print a report's lines, in which names may come from outside."""
    print("\n".join(map(printable, lines)))


def moment(text: str) -> int:
    """Unix ms of an option's time; raises ArgumentTypeError, which argparse tells."""
    try:
        return parse_now(text)
    except EventError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -P -m ledger", description="Verify a log, offline.")
    commands = parser.add_subparsers(required=True)
    verify = commands.add_parser("verify", help="verify an export")
    verify.add_argument("directory", type=Path)
    verify.add_argument("--vkey", type=Path, help="the log's verifier keys, from elsewhere")
    verify.add_argument("--at-least", type=Path, help="an older receipt that must still stand")
    verify.add_argument("--since", type=Path, help="an older export that this one must extend")
    verify.add_argument("--policy", type=Path, help="the witness policy, from elsewhere")
    verify.add_argument("--releases-vkey", type=Path, help="the key keeper's, from elsewhere")
    verify.add_argument("--now", type=moment, help="the time to judge by, as 2026-11-20T07:24:00Z")
    verify.add_argument("--no-signatures", action="store_true", help="leave events' signatures out")
    verify.set_defaults(run=_verify)
    check = commands.add_parser("check", help="check a receipt, or the proof of a history")
    check.add_argument("receipt", type=Path)
    check.add_argument("--vkey", type=Path, help="the log's verifier keys, from elsewhere")
    check.add_argument("--policy", type=Path, help="the witness policy, from elsewhere")
    check.add_argument(
        "--against", type=Path, help="today's log, in which it must still stand: an export's folder"
    )
    check.set_defaults(run=_check)
    bundle = commands.add_parser("check-bundle", help="check a copy to keep of a whole chart")
    bundle.add_argument("copy", type=Path)
    bundle.add_argument("--vkey", type=Path, help="the log's verifier keys, from elsewhere")
    bundle.add_argument("--policy", type=Path, help="the witness policy, from elsewhere")
    bundle.set_defaults(run=_check_bundle)
    registry = commands.add_parser("registry", help="print docs/registry.json, or its hash")
    registry.add_argument("--hash", action="store_true")
    registry.set_defaults(run=_registry)
    return parser


def _verify(options: argparse.Namespace) -> int:
    report = verify_export(
        options.directory, read_vkeys(options.vkey), read_receipt(options.at_least),
        not options.no_signatures, since=options.since, policy=read_policy(options.policy),
        now=options.now, releases=read_vkeys(options.releases_vkey),
    )  # fmt: skip
    tell(report.lines())
    return 0 if report.proven else 3


def _check(options: argparse.Namespace) -> int:
    vkeys, data = read_vkeys(options.vkey), read_proof(options.receipt)
    policy, history = read_policy(options.policy), None
    if is_history(data):
        history = check_history_proof(data, vkeys, policy)
    receipt = history.receipt if history else check_receipt(data, vkeys, policy)
    if options.against is not None:
        check_against(receipt, export_reader(options.against), vkeys, policy)
    proven = options.vkey is not None
    lines = [history.line] if history else []
    tell(
        [
            *lines,
            f"entry {receipt.index} is in the log" if proven else "consistent, origin unproven",
        ]
    )
    return 0 if proven else 3


def _check_bundle(options: argparse.Namespace) -> int:
    report = check_copy(options.copy, read_vkeys(options.vkey), read_policy(options.policy))
    proven = options.vkey is not None
    tell([*report.lines(), "good" if proven else "consistent, origin unproven"])
    return 0 if proven else 3


def _registry(options: argparse.Namespace) -> int:
    print(registry_hash().hex() if options.hash else registry_json().decode("ascii"), end="")
    return 0
