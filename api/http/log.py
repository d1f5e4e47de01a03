"""The log as the C2SP tile protocol has it; entry bundles for auditors in term."""

import gzip
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.appending import append
from api.http.bodies import READING_BYTES, json_body, proposal_of
from api.http.callers import TheLedger, bearer
from api.http.examples import serves
from api.http.problems import Problem
from client import operations
from crypto.encoding import b64encode
from identity.sessions import log_reader, open_log
from ledger.layout import HANDOVER_PARTS
from ledger.registry import registry_json
from ledger.tiles import TILE_WIDTH, join_bundle, tile_path
from ledger.times import format_time
from ledger.witnesses import verifiers_policy
from records.opening import settled
from storage.cosigning import witness_standings
from storage.reader import LogReader

router = APIRouter(tags=["log"])
GZIP_LEVEL = 6
"""How hard entry bundles are compressed where the client takes gzip, 1 to 9."""
Size = Annotated[str, Path(pattern="^(0|[1-9][0-9]{0,14})$", examples=["12"])]
_ZERO = re.compile(r"q=0(?:[.]0{0,3})?").fullmatch
_TILE = re.compile(
    r"(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,4})([0-9]{3})(?:[.]p/([0-9]{1,3}))?"
).fullmatch


@serves(router, operations.LOG)
async def get_log(ledger: TheLedger) -> dict[str, Any]:
    """Origin, size, verifier keys, the registry's hash and the policy in force."""
    head, policy = (
        await run_in_threadpool(ledger.head),
        await run_in_threadpool(lambda: ledger.policy),
    )
    return {
        "origin": ledger.origin,
        "policy": {
            "assurance": dict(policy.assurance),
            "custodian_reads": policy.custodian_reads,
            "grant_days_max": policy.grant_days_max,
            "majority_years": policy.majority_years,
            **(
                {}
                if policy.professions is None
                else {"professions": {n: sorted(may) for n, may in policy.professions.items()}}
            ),
            "seq": policy.seq,
        },
        "registry": b64encode(head.registry),
        "size": head.size,
        "time": format_time(head.time),
        "vkeys": [str(key) for key in ledger.vkeys],
    }


@serves(router, operations.REGISTRY)
async def get_registry() -> Response:
    """The registry in force, the bytes whose hash the log names."""
    return Response(registry_json(), media_type="application/json")


@serves(router, operations.CHECKPOINT)
async def get_checkpoint(ledger: TheLedger) -> Response:
    """The newest signed checkpoint, with cosignatures if it has them by now."""
    return _note(await run_in_threadpool(ledger.checkpoint))


@serves(router, operations.COSIGNED)
async def get_cosigned(ledger: TheLedger) -> Response:
    """The newest checkpoint whose cosignatures meet the log's witness policy."""
    found = await run_in_threadpool(ledger.cosigned)
    if found is None:
        raise Problem("not_found", "no checkpoint of this log is cosigned as a policy demands")
    return _note(found.note)


def _note(note: bytes) -> Response:
    return Response(note, 200, {"Cache-Control": "no-store"}, "text/plain; charset=utf-8")


@serves(router, operations.WITNESSES)
async def get_witnesses(ledger: TheLedger) -> dict[str, Any]:
    """The log's witness policy as verifiers take it, the size that was cosigned under it, and the witnesses."""
    found = await run_in_threadpool(ledger.cosigned)
    standings = await run_in_threadpool(witness_standings, ledger)
    return {
        "policy": verifiers_policy(ledger.witnesses, ledger.vkeys).decode("utf-8", "replace"),
        "size": found.size if found else 0,
        "witnesses": [
            {"behind": one.behind, "good": not one.problem, "name": one.name, "size": one.size}
            for one in standings
        ],
    }


@serves(router, operations.HANDOVERS)
async def get_handovers(ledger: TheLedger) -> dict[str, Any]:
    """The hand-overs of the log's keys, each by its receipts."""
    found = await run_in_threadpool(ledger.handovers)
    parts = [[part.decode() for part in one.parts()] for one in found]
    return {"handovers": [dict(zip(HANDOVER_PARTS, texts, strict=True)) for texts in parts]}


@serves(router, operations.CONSISTENCY)
async def get_consistency(old: Size, new: Size, ledger: TheLedger) -> dict[str, list[str]]:
    """The consistency proof between two sizes (RFC 9162, 2.1.4.1): the tree of `new` entries extends that of `old`."""
    proof = await run_in_threadpool(ledger.consistency, int(old), int(new))
    return {"proof": [b64encode(node) for node in proof]}


router.head("/checkpoint", include_in_schema=False)(get_checkpoint)


@serves(router, operations.TILE)
async def get_tile(
    path: Annotated[str, Path(examples=["0/000.p/1"])], request: Request, ledger: TheLedger
) -> Response:
    """A tile of hashes, or (with an auditor's token) a bundle of entries; of any width that is there."""
    match = _TILE(path)
    if match is None:
        raise Problem("not_found", f"there is no tile {path[:80]!r}")
    number = int(match[2].replace("x", "").replace("/", "") + match[3])
    width = TILE_WIDTH if match[4] is None else int(match[4])
    if not 0 < width <= TILE_WIDTH or f"tile/{path}" != tile_path(match[1], number, width):
        # A tile has one name.
        raise Problem("not_found", f"there is no tile {path[:80]!r}")
    if match[1] == "entries":
        await run_in_threadpool(log_reader, ledger, ledger.tokens, bearer(request))
        zipped = _takes_gzip(request.headers.get("accept-encoding", ""))
        data = await run_in_threadpool(_entries, ledger, number, width, zipped)
        coding = {"Content-Encoding": "gzip"} if zipped else {}
        kept = {"Cache-Control": "private, no-store", "Vary": "Accept-Encoding"}
        return Response(data, 200, kept | coding, "application/octet-stream")
    data = await run_in_threadpool(ledger.tile, int(match[1]), number, width)
    headers = {"Cache-Control": "public, max-age=604800, immutable"}
    return Response(data, 200, headers, "application/octet-stream")


router.head("/tile/{path:path}", include_in_schema=False)(get_tile)


@serves(router, operations.LOG_TOKEN)
async def post_token(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """An auditor's signed `log.opened` in, the token for entry bundles out, in this call alone."""
    proposal = proposal_of(ledger, await json_body(request, READING_BYTES))
    if proposal.event.type.name != "log.opened":
        raise Problem("malformed", f"got {proposal.event.type.name}, expected log.opened")
    committed = await append(ledger, [proposal])
    entry = settled(committed).entry
    given = await run_in_threadpool(
        open_log, ledger.tokens, entry.event.actor, entry.sig.key, ledger.clock()
    )
    return {"end": format_time(given.end), "seq": entry.link.seq, "token": given.token}


@serves(router, operations.RELEASES)
async def get_releases(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """The end of the key keeper's own log of what it gave out."""
    await run_in_threadpool(log_reader, ledger, ledger.tokens, bearer(request))
    found = await run_in_threadpool(ledger.keeper.signed_releases)
    return {"checkpoint": found.checkpoint.decode(), "vkeys": list(found.vkeys)}


@serves(router, operations.RELEASED)
async def get_released(number: Size, request: Request, ledger: TheLedger) -> Response:
    """A bundle of the entries of that log, as many as there are by now."""
    await run_in_threadpool(log_reader, ledger, ledger.tokens, bearer(request))
    start = int(number) * TILE_WIDTH
    raws = await run_in_threadpool(ledger.keeper.releases, start, TILE_WIDTH)
    if not raws:
        raise Problem("not_found", f"there is no release {start}")
    return Response(
        join_bundle(raws), 200, {"Cache-Control": "private, no-store"}, "application/octet-stream"
    )


def _entries(ledger: LogReader, number: int, width: int, zipped: bool) -> bytes:
    data = ledger.bundle(number, width)
    return gzip.compress(data, GZIP_LEVEL, mtime=0) if zipped else data


def _takes_gzip(accepted: str) -> bool:
    """Whether a header Accept-Encoding (RFC 9110, 12.5.3) takes gzip; its own weight goes before that of `*`."""
    weights: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = _ZERO(weight.replace(" ", "")) is None
    return weights.get("gzip", weights.get("*", False))
