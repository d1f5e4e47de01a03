"""The functions that the profiles time, step by step of docs/architecture.md's append transaction.

A name that is gone from the program raises AttributeError (and fails a unit test): put the new one here.
"""

from benchmarks.stopwatch import Place

GATE, FOLDS = "4 gate: decide", "4 fold rows"
BEGIN, COMMIT = "2 lock: flock, BEGIN, head", "6 commit: WAL, sync"

SIGNATURES = (
    Place("1 parse: canonical JSON, schema", "ledger.event:Event.parse"),
    Place("1 verify Ed25519", "storage.signatures:verify"),
    Place("1 bundle's tree and paths", "storage.signatures:bundle_paths"),
    Place("1 signatures, the rest", "storage.signatures:SignatureChecks.event"),
    Place("1 signatures, the rest", "storage.signatures:SignatureChecks.bundle"),
)
BATCH = (
    Place(BEGIN, "storage.log:Log._locked_head"),
    Place("2 clock", "storage.log:Log._time"),
    Place("3 load: ends of streams", "storage.sql.entries:EntryStore.streams"),
    Place("3 load: known event ids", "storage.sql.entries:EntryStore.known"),
    Place("3 load: rows of directory and facts", "storage.sql.rowcache:RowCache.load"),
    Place("3 load: key table", "storage.keytable:Claims.__init__"),
    Place("3 load, the rest", "storage.log:Log._prepare"),
    Place("4 who may sign", "ledger.sequencer:check_event"),
    Place("4 claim keys", "storage.keytable:Claims.claim"),
    Place("4 entry's bytes", "ledger.entry:Entry.make"),
    Place("4 leaf hash", "ledger.sequencer:leaf_hash"),
    Place("4 tree's edge", "ledger.merkle:Frontier.append"),
    Place("4 chain, the rest", "ledger.sequencer:Batch._take"),
    Place("4 admit, the rest", "ledger.sequencer:Batch.admit"),
    Place("5 root", "ledger.merkle:Frontier.root"),
    Place("5 sign checkpoint: Ed25519, ML-DSA-44", "crypto.notes:LogSigner.sign"),
    Place("6 write views' rows", "storage.sql.entries:EntryStore.write_rows"),
    Place("6 write streams", "storage.sql.entries:EntryStore.add_streams"),
    Place("6 write entries and event ids", "storage.sql.entries:EntryStore.add"),
    Place("6 write tiles", "storage.log:Log._write_tiles"),
    Place("6 write head", "storage.sql.entries:EntryStore.write_head"),
    Place("6 publish", "storage.sql.entries:EntryStore.publish"),
    Place("6 write, the rest", "storage.log:Log._write"),
    Place("7 trusted checkpoint", "durable.trusted:TrustedCheckpoint.saw"),
    Place("7 batch, the rest: tell the callers", "storage.log:Log._run"),
)
APPEND = (*SIGNATURES, *BATCH)


def in_order() -> list[str]:
    """The rows of `APPEND`, with those that are timed in another way, as the transaction goes."""
    rows = list(dict.fromkeys(place.row for place in APPEND))
    for row, before in (
        (GATE, "4 claim keys"),
        (FOLDS, "4 chain, the rest"),
        (COMMIT, "7 trusted checkpoint"),
    ):
        rows.insert(rows.index(before), row)
    return rows


BATCH_OF_READING = "append: steps 2 to 7"
READING = (
    *(place._replace(row="append: " + place.row) for place in SIGNATURES),
    *(place._replace(row=BATCH_OF_READING) for place in BATCH),
    Place("wrapped keys from the database", "storage.keytable:KeyTable.of_version"),
    Place("the upload's entry", "storage.ledger:Ledger.kept_entry"),
    Place("receipts from memory", "records.opening:of_reading"),
    Place("proof from the keeper's size", "storage.evidence:Proofs.since"),
    Place("keeper: one branch", "keeper.branch:Branch.follow"),
    Place("keeper: checkpoint's signatures", "crypto.notes:Note.verify"),
    Place("keeper: paths to the root", "ledger.receipt:Receipt.check_under"),
    Place("keeper: entry parsed", "keeper.keeper:parse_entry"),
    Place("keeper: event's signature", "keeper.following:FollowedLog.check_signed"),
    Place("keeper: unwrap", "crypto.wraps:unwrap"),
    Place("keeper: once only, on its own disk", "keeper.releases:Releases.record"),
    Place("keeper, the rest", "keeper.keeper:KeyKeeper.release"),
    Place("texts", "records.opening:_texts"),
    Place("read token", "records.opening:read_token"),
    Place("blob: read and decrypt", "benchmarks.profile:_open"),
    Place("release, the rest", "records.opening:release"),
    Place("give the record, the rest", "records.opening:give_record"),
)
VERIFY = (
    Place("read bundles, SHA-256 of files", "ledger.auditor:_Source.data"),
    Place("first pass: keys", "ledger.auditor:registered_keys"),
    Place("split", "ledger.digest:_split"),
    Place("match entry against its pattern", "ledger.digest:plain_form"),
    Place("parse what has no pattern", "ledger.digest:long_form"),
    Place("verify Ed25519", "ledger.digest:verify"),
    Place("signature, the rest", "ledger.digest:_check_signature"),
    Place("leaf hash", "ledger.digest:leaf_hash"),
    Place("tile's root", "ledger.digest:perfect_root"),
    Place("bundle, the rest", "ledger.auditor:digest_bundle"),
    Place("in order: streams, ids, signers, tiles", "ledger.verifier:LogVerifier.take"),
    Place("finish: root, checkpoint", "ledger.verifier:LogVerifier.finish"),
)
