/**
 * heartwood-check: checks receipts and histories of a Heartwood log in a browser, trusting no server.
 *
 * One ES module without dependencies. It fetches nothing and keeps nothing: bytes and keys in, what was proved out, or a
 * CheckError. Formats: docs/formats.md of Heartwood; C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy,
 * tlog-proof; RFC 9162 (Merkle tree), RFC 8785 (canonical JSON). It needs WebCrypto with SHA-256 and Ed25519.
 *
 * What it does not check, and never calls good: ML-DSA-44 signatures, which browsers can't check (results list these keys under
 * `unchecked`), the authors' signatures of entries (but of hand-overs), and whether the rules allowed an act. `heartwood check`, `verify` and
 * `audit` do.
 */

export const VERSION = 1;
export const ED25519 = 0x01;
export const ED25519_COSIGNATURE = 0x04;
export const ML_DSA_44_COSIGNATURE = 0x06;

const KEY_BYTES = { [ED25519]: 32, [ED25519_COSIGNATURE]: 32, [ML_DSA_44_COSIGNATURE]: 1312 };
/** Bytes of a signature line behind the key id: cosignatures begin with a time of 8 bytes. */
const LINE_BYTES = { [ED25519]: 64, [ED25519_COSIGNATURE]: 72, [ML_DSA_44_COSIGNATURE]: 2428 };
const NAME_BYTES = 255; // longest name or origin, in bytes of UTF-8
const SIGNATURE_LINES = 64; // most signature lines of a note
const NOTE_BYTES = 1_000_000; // longest note, in bytes
const PATH_HASHES = 63; // most hashes of a path
const ENTRY_BYTES = 65_535; // longest entry, in bytes
const DEPTH = 12; // deepest nesting of an entry; the outermost object is 1
const ZERO = "A".repeat(43) + "="; // 32 zero bytes in base64: what the first entry of a chain holds
const EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; // SHA-256 of nothing
const RECEIPT_HEAD = "c2sp.org/tlog-proof@v1";
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * What is wrong. `code` is one of: `malformed` (no such format), `keys` (unusable verifier keys), `signature` (one that doesn't
 * fit), `unsigned` (a key that was to sign has not), `origin` (another log), `path` (a proof of the wrong shape), `root` (it leads
 * elsewhere), `consistency` (one log is no prefix of the other), `chain` (an entry is missing, altered or moved), `quorum` (too few
 * witnesses), `handover` (new keys of the log that its operator didn't give), `unsupported` (this browser has no Ed25519).
 */
export class CheckError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "CheckError";
    this.code = code;
  }
}

const refuse = (code, message) => {
  throw new CheckError(code, message);
};

// Bytes and texts.

const utf8 = new TextEncoder();

/** Bytes of a text, or the bytes themselves. */
export const bytesOf = (data) => (typeof data === "string" ? utf8.encode(data) : data);

/** The text of UTF-8 bytes; refuses others. */
export function textOf(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return refuse("malformed", "got bytes that are not UTF-8");
  }
}

/** Standard base64 with padding. */
export function toBase64(data) {
  let text = "";
  for (let at = 0; at < data.length; at += 8192) {
    text += String.fromCharCode(...data.subarray(at, at + 8192));
  }
  return btoa(text);
}

/** Bytes of canonical base64, of exactly `length` bytes if given. */
export function fromBase64(text, length) {
  text = typeof text === "string" ? text : `a ${typeof text}`;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    refuse("malformed", `got ${text.slice(0, 60)}, expected base64 with padding`);
  }
  const data = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  if (toBase64(data) !== text) refuse("malformed", `got ${text.slice(0, 60)}, expected canonical base64`);
  if (length !== undefined && data.length !== length) {
    refuse("malformed", `got ${data.length} bytes in base64, expected ${length}`);
  }
  return data;
}

/** A decimal without sign or leading zeros, below 2^53. */
function decimal(text) {
  const number = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(number) ? number : refuse("malformed", `got ${text.slice(0, 40)}, expected a number below 2^53`);
}

const hex = (data) => Array.from(data, (one) => one.toString(16).padStart(2, "0")).join("");

function joined(...parts) {
  const out = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) {
    out.set(one, at);
    at += one.length;
  }
  return out;
}

const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

// Hashes and signatures.

function subtle() {
  return globalThis.crypto?.subtle ?? refuse("unsupported", "this page has no WebCrypto: open it by https");
}

/** SHA-256, 32 bytes. */
export async function sha256(data) {
  return new Uint8Array(await subtle().digest("SHA-256", data));
}

/** SHA-256(0x00 ‖ data): the hash of an entry (RFC 9162, 2.1.1). */
export const leafHash = (data) => sha256(joined([0], bytesOf(data)));

/** SHA-256(0x01 ‖ left ‖ right). */
export const nodeHash = (left, right) => sha256(joined([1], left, right));

/** Whether this browser checks Ed25519; where it doesn't, every check of a signature throws `unsupported`. */
export async function supportsEd25519() {
  try {
    await subtle().importKey("raw", new Uint8Array(32).fill(1), { name: "Ed25519" }, false, ["verify"]);
    return true;
  } catch (error) {
    return !(error instanceof CheckError) && error.name === "DataError";
  }
}

async function verifies(publicKey, signature, message) {
  let key;
  try {
    key = await subtle().importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error instanceof CheckError) throw error;
    if (error.name === "DataError") return false; // no point of the curve
    return refuse("unsupported", `this browser can't check Ed25519 signatures: ${error.message}`);
  }
  return subtle().verify({ name: "Ed25519" }, key, signature, message);
}

/** A log's key as people compare it: SHA-256 of the verifier key's text, the first 16 bytes in groups of four digits. */
export async function fingerprint(verifierKey) {
  return hex((await sha256(bytesOf(verifierKey))).subarray(0, 16)).match(/.{4}/g).join(" ");
}

// Signed notes (C2SP signed-note).

/** A verifier key `<name>+<8 hex>+<base64 of type ‖ key>`: `{name, kind, publicKey, id, text}`. */
export async function parseVerifierKey(text) {
  const [name, id, rest] = splitKey(text);
  const data = fromBase64(rest);
  if (KEY_BYTES[data[0]] !== data.length - 1) refuse("keys", `verifier key of ${name}: unknown type or wrong length`);
  const found = hex((await sha256(joined(utf8.encode(`${name}\n`), data))).subarray(0, 4));
  if (found !== id) refuse("keys", `verifier key of ${name}: got the id ${id}, expected ${found}`);
  return { name, kind: data[0], publicKey: data.subarray(1), id, text };
}

function splitKey(text) {
  const found = /^([^+]+)\+([^+]*)\+(.+)$/s.exec(text);
  const good = found && !SPACE.test(found[1]) && utf8.encode(found[1]).length <= NAME_BYTES;
  if (!good) refuse("keys", `got ${String(text).slice(0, 60)}, expected a verifier key <name>+<id>+<base64>`);
  return found.slice(1);
}

/** The verifier keys of one log from their texts: one name, none twice, at least one that this library can check. */
export async function parseKeys(texts) {
  const keys = await Promise.all(texts.map(parseVerifierKey));
  const names = new Set(keys.map((key) => key.name));
  if (names.size !== 1 || new Set(texts).size !== texts.length) refuse("keys", "expected the keys of one log, none twice");
  if (!keys.some((key) => key.kind === ED25519)) refuse("keys", "expected an Ed25519 key of the log among the keys");
  return keys;
}

/** A note: `{text, signatures: [{name, id, signature}]}`; the text is bytes that end in a newline. */
export function parseNote(data) {
  data = bytesOf(data);
  if (data.length > NOTE_BYTES) refuse("malformed", `got a note of ${data.length} bytes`);
  if (data.some((byte) => byte < 0x20 && byte !== 0x0a)) refuse("malformed", "got a note with a control character");
  const whole = textOf(data);
  const at = whole.lastIndexOf("\n\n");
  if (at < 0 || !whole.endsWith("\n") || at + 2 === whole.length) {
    refuse("malformed", "got a note without text, empty line and signature lines");
  }
  const lines = whole.slice(at + 2, -1).split("\n");
  if (lines.length > SIGNATURE_LINES) refuse("malformed", `got ${lines.length} signature lines`);
  return { text: utf8.encode(whole.slice(0, at + 1)), signatures: lines.map(parseLine) };
}

function parseLine(line) {
  const found = /^\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)$/.exec(line);
  if (!found || SPACE.test(found[1])) refuse("malformed", `got ${line.slice(0, 60)}, expected a signature line`);
  const data = fromBase64(found[2]);
  if (data.length < 5) refuse("malformed", `signature line of ${found[1]}: too short`);
  return { name: found[1], id: hex(data.subarray(0, 4)), signature: data.subarray(4) };
}

/**
 * Which of the keys signed a note: `{checked, unchecked}`, lists of keys. `unchecked`: ML-DSA-44, of whose lines only the length is
 * looked at. A line of a known key that doesn't fit throws `signature`; lines of unknown keys are passed over.
 */
export async function signedBy(note, keys) {
  const checked = [];
  const unchecked = [];
  for (const { name, id, signature } of note.signatures) {
    for (const key of keys.filter((one) => one.name === name && one.id === id)) {
      const good = signature.length === LINE_BYTES[key.kind] && (await lineFits(key, signature, note.text));
      if (!good) refuse("signature", `the signature of ${name} does not fit`);
      (key.kind === ML_DSA_44_COSIGNATURE ? unchecked : checked).push(key);
    }
  }
  return { checked, unchecked };
}

async function lineFits(key, signature, text) {
  if (key.kind === ED25519) return verifies(key.publicKey, signature, text);
  const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  if (seconds >= 1n << 63n) return false;
  if (key.kind === ML_DSA_44_COSIGNATURE) return true;
  return verifies(key.publicKey, signature.subarray(8), joined(utf8.encode(`cosignature/v1\ntime ${seconds}\n`), text));
}

// Checkpoints (C2SP tlog-checkpoint).

/** `{origin, size, root}` of a checkpoint's text: three lines and no more. `root` is 32 bytes. */
export function parseCheckpoint(text) {
  const lines = textOf(bytesOf(text)).split("\n");
  if (lines.length !== 4 || lines[3] !== "") refuse("malformed", "checkpoint: expected origin, size and root only");
  const origin = lines[0];
  const named = origin && utf8.encode(origin).length <= NAME_BYTES && !/[+\x00-\x20]|:\/\//.test(origin) && !SPACE.test(origin);
  if (!named || origin.startsWith("heartwood/")) refuse("malformed", `checkpoint: got the origin ${origin.slice(0, 60)}`);
  return { origin, size: decimal(lines[1]), root: fromBase64(lines[2], 32) };
}

/** What a checkpoint says, whoever signed it: nothing is proved. */
export const saidBy = (note) => parseCheckpoint(parseNote(note).text);

/**
 * The checkpoint of a note that each of the log's keys signed (see `parseKeys`):
 * `{origin, size, root, checked, unchecked}`, the last two as of `signedBy`.
 */
export async function openCheckpoint(note, keys) {
  const parsed = parseNote(note);
  const { checked, unchecked } = await signedBy(parsed, keys);
  const missing = keys.find((key) => !checked.includes(key) && !unchecked.includes(key));
  if (missing || !checked.length) refuse("unsigned", `the key ${missing?.id ?? ""} of the log has not signed the checkpoint`);
  const checkpoint = parseCheckpoint(parsed.text);
  if (checkpoint.origin !== keys[0].name) refuse("origin", `got the log ${checkpoint.origin}, expected ${keys[0].name}`);
  if (checkpoint.size === 0 && toBase64(checkpoint.root) !== EMPTY_ROOT) refuse("root", "size 0 without the empty root");
  return { ...checkpoint, checked, unchecked };
}

// Merkle proofs (RFC 9162, 2.1.3 and 2.1.4).

const bitLength = (number) => (number ? number.toString(2).length : 0);
const ones = (number) => [...number.toString(2)].filter((bit) => bit === "1").length;

/** The root that an inclusion path leads to; `path` holds hashes of 32 bytes, the leaf's sibling first. */
export async function rootFromPath(index, size, leaf, path) {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && 0 <= index && index < size)) {
    refuse("path", `got the index ${index} in a log of ${size}`);
  }
  const at = BigInt(index);
  const inner = bitLength(at ^ BigInt(size - 1));
  const expected = inner + (at >> BigInt(inner) ? ones(at >> BigInt(inner)) : 0);
  if (path.length !== expected) refuse("path", `got ${path.length} hashes for index ${index} of ${size}, expected ${expected}`);
  if ([leaf, ...path].some((one) => one.length !== 32)) refuse("path", "got a hash that has not 32 bytes");
  let node = leaf;
  for (const [level, other] of path.entries()) {
    const left = level < inner && !((at >> BigInt(level)) & 1n);
    node = await (left ? nodeHash(node, other) : nodeHash(other, node));
  }
  return node;
}

/** Throws unless a tree of `size` leaves with `root` extends that of `oldSize` with `oldRoot`. */
export async function checkConsistency(oldSize, oldRoot, size, root, proof) {
  if (!(Number.isSafeInteger(oldSize) && Number.isSafeInteger(size) && 0 < oldSize && oldSize <= size)) {
    refuse("path", `got the sizes ${oldSize} and ${size}, expected 0 < old ≤ new`);
  }
  if ([oldRoot, root, ...proof].some((one) => one.length !== 32)) refuse("path", "got a hash that has not 32 bytes");
  if (oldSize === size) {
    if (proof.length) refuse("path", "got a proof from a size to itself");
    if (!same(oldRoot, root)) refuse("consistency", `there are two logs of ${size} entries`);
    return;
  }
  let left = BigInt(oldSize - 1);
  let right = BigInt(size - 1);
  const steps = ones(BigInt(oldSize)) === 1 ? [oldRoot, ...proof] : [...proof];
  if (!steps.length) refuse("path", "got an empty consistency proof");
  for (; left & 1n; left >>= 1n) right >>= 1n;
  let first = steps[0];
  let second = steps[0];
  for (const node of steps.slice(1)) {
    if (!right) refuse("path", "got a consistency proof that is too long");
    if (left & 1n || left === right) {
      first = await nodeHash(node, first);
      second = await nodeHash(node, second);
      for (; left && !(left & 1n); left >>= 1n) right >>= 1n;
    } else {
      second = await nodeHash(second, node);
    }
    left >>= 1n;
    right >>= 1n;
  }
  if (right) refuse("path", "got a consistency proof that is too short");
  if (!same(first, oldRoot) || !same(second, root)) {
    refuse("consistency", `the log of ${size} entries does not extend that of ${oldSize}`);
  }
}

// Witnesses (C2SP tlog-policy).

/** A policy file: `{logs, witnesses, groups, quorum}`; witnesses and groups are Maps by name. */
export async function parsePolicy(data) {
  const policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: "" };
  const text = textOf(bytesOf(data));
  if (/[\x00-\x08\x0b-\x1f\x7f]/.test(text) || !text.endsWith("\n")) refuse("malformed", "policy: expected lines of text");
  for (const line of text.slice(0, -1).split("\n")) {
    const words = line.split(/[ \t]+/).filter(Boolean);
    if (words.length && !words[0].startsWith("#")) await takeLine(policy, words, line);
  }
  return policy.quorum ? policy : refuse("malformed", "policy: has no line quorum");
}

async function takeLine(policy, [kind, ...rest], line) {
  const { logs, witnesses, groups } = policy;
  const known = (name) => witnesses.has(name) || groups.has(name);
  const fresh = (name) => name !== "none" && !known(name);
  const members = [...groups.values()].flatMap((group) => group.members);
  if (kind === "log" && (rest.length === 1 || rest.length === 2)) {
    logs.push(await policyKey(rest[0], ED25519, logs));
  } else if (kind === "witness" && (rest.length === 2 || rest.length === 3) && fresh(rest[0])) {
    witnesses.set(rest[0], await policyKey(rest[1], ED25519_COSIGNATURE, [...witnesses.values()]));
  } else if (kind === "group" && rest.length > 2 && fresh(rest[0])) {
    const [name, threshold, ...named] = rest;
    const free = named.every((one, at) => known(one) && !members.includes(one) && named.indexOf(one) === at);
    const needed = threshold === "any" ? 1 : threshold === "all" ? named.length : decimal(threshold);
    if (!free || needed < 1 || needed > named.length) refuse("malformed", `policy: got the group ${line.slice(0, 80)}`);
    groups.set(name, { needed, members: named });
  } else if (kind === "quorum" && rest.length === 1 && !policy.quorum && (rest[0] === "none" || known(rest[0]))) {
    policy.quorum = rest[0];
  } else {
    refuse("malformed", `policy: got the line ${line.slice(0, 80)}`);
  }
}

async function policyKey(text, kind, others) {
  const key = await parseVerifierKey(text);
  const kinds = [kind, ML_DSA_44_COSIGNATURE];
  if (!kinds.includes(key.kind)) refuse("malformed", `policy: got a key of type ${key.kind}, expected one of ${kinds}`);
  if (others.some((one) => same(one.publicKey, key.publicKey))) refuse("malformed", "policy: got a key twice");
  return key;
}

/**
 * The witnesses whose cosignatures of a note fit: `{signed, unchecked}`, lists of names. Those with an ML-DSA-44 key are `unchecked`
 * and don't count. Throws `quorum` where the policy demands more.
 */
export async function checkQuorum(note, policy, keys) {
  if (policy.logs.length && !policy.logs.some((log) => keys.some((key) => key.text === log.text))) {
    refuse("origin", "the witness policy is about another log");
  }
  const witnesses = [...policy.witnesses];
  if (witnesses.some(([, one]) => keys.some((key) => same(key.publicKey, one.publicKey)))) {
    refuse("keys", "the witness policy names the log itself as a witness");
  }
  const found = await signedBy(parseNote(note), witnesses.map(([, key]) => key));
  const named = (list) => witnesses.filter(([, key]) => list.includes(key)).map(([name]) => name);
  const signed = named(found.checked);
  const met = new Set(["none", ...signed]);
  for (const [name, group] of policy.groups) {
    if (group.members.filter((one) => met.has(one)).length >= group.needed) met.add(name);
  }
  if (!met.has(policy.quorum)) refuse("quorum", `cosigned by ${signed.join(", ") || "no witness that can be checked here"}`);
  return { signed, unchecked: named(found.unchecked) };
}

// Entries, receipts, histories.

function walk(value, depth) {
  if (typeof value === "string") return !/[\x00-\x1f]|\p{Surrogate}/u.test(value);
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value === "boolean") return true;
  if (value === null || typeof value !== "object" || depth < 1) return false;
  if (Array.isArray(value)) return value.every((one) => walk(one, depth - 1));
  return Object.entries(value).every(([key, one]) => /^[a-z][a-z0-9_]*$/.test(key) && walk(one, depth - 1));
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(",")}}`;
}

const ENTRY_MEMBERS = "event,prev,seq,sig,stream_prev,stream_seq,time";
const NAMED = (value) => ["actor", "at", "id", "stream", "type"].every((one) => typeof value?.[one] === "string");

/** The value of an entry's stored bytes, which must be canonical JSON (RFC 8785 in Heartwood's bounds) of an entry's members. */
export function parseEntry(data) {
  data = bytesOf(data);
  if (data.length > ENTRY_BYTES) refuse("malformed", `got an entry of ${data.length} bytes`);
  const text = textOf(data);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    refuse("malformed", "got an entry that is not JSON");
  }
  if (!walk(value, DEPTH) || canonical(value) !== text) refuse("malformed", "got an entry that is not canonical JSON");
  const members = Object.keys(value).filter((one) => one !== "decision").sort().join();
  const whole = members === ENTRY_MEMBERS && NAMED(value.event) && TIME.test(value.time) && typeof value.event.body === "object";
  const numbered = whole && [value.seq, value.stream_seq].every((one) => Number.isSafeInteger(one) && one >= 0);
  if (!numbered) refuse("malformed", "got JSON that is no entry");
  fromBase64(value.prev, 32);
  fromBase64(value.stream_prev, 32);
  return value;
}

/** `{entry, index, path, checkpoint}` of a receipt (C2SP tlog-proof); entry and checkpoint as bytes. Nothing is checked yet. */
export function parseReceipt(data) {
  const text = textOf(bytesOf(data));
  const gap = text.indexOf("\n\n");
  const lines = text.slice(0, Math.max(gap, 0)).split("\n");
  const shaped = lines[0] === RECEIPT_HEAD && lines.length >= 3 && lines.length <= 3 + PATH_HASHES;
  if (!shaped || !lines[1].startsWith("extra ") || !lines[2].startsWith("index ")) {
    refuse("malformed", `got bytes that are not a ${RECEIPT_HEAD} with an entry`);
  }
  return {
    entry: fromBase64(lines[1].slice(6)),
    index: decimal(lines[2].slice(6)),
    path: lines.slice(3).map((line) => fromBase64(line, 32)),
    checkpoint: utf8.encode(text.slice(gap + 2)),
  };
}

/**
 * A receipt that holds: its entry stands in the log of these keys (see `parseKeys`). Gives `{value, entry, index, checkpoint, note}`:
 * the entry's value and bytes, its number, and the checkpoint as of `openCheckpoint` with its bytes. With a `policy` (see
 * `parsePolicy`) also `witnesses`, as of `checkQuorum`.
 */
export async function checkReceipt(data, keys, policy) {
  const { entry, index, checkpoint: note } = parseReceipt(data);
  const checkpoint = await openCheckpoint(note, keys);
  const value = await checkUnder(data, checkpoint);
  const witnesses = policy && (await checkQuorum(note, policy, keys));
  return { value, entry, index, checkpoint, note, witnesses };
}

/** The value of a receipt's entry, whose path leads to this checkpoint's root; nobody's signature is asked. */
export async function checkUnder(data, checkpoint) {
  const { entry, index, path } = parseReceipt(data);
  const root = await rootFromPath(index, checkpoint.size, await leafHash(entry), path);
  if (!same(root, checkpoint.root)) refuse("root", `entry ${index} is not under the checkpoint's root`);
  const value = parseEntry(entry);
  return value.seq === index ? value : refuse("path", `the receipt holds entry ${value.seq} as number ${index}`);
}

/** The values of a stream's entries from its first on, each of which holds the hash of the one before: none is missing between. */
export async function checkChain(entries) {
  const raws = entries.map(bytesOf);
  const leaves = await Promise.all(raws.map(leafHash));
  const values = raws.map(parseEntry);
  for (const [number, value] of values.entries()) {
    const before = values[number - 1];
    const leaf = number ? toBase64(leaves[number - 1]) : ZERO;
    if (value.stream_seq !== number || value.stream_prev !== leaf) {
      refuse("chain", `entry ${value.seq} does not follow number ${number - 1} of the stream`);
    }
    if (!before) continue;
    if (value.event.stream !== before.event.stream) refuse("chain", `entry ${value.seq} is of ${value.event.stream}`);
    const next = value.seq === before.seq + 1;
    if (value.seq <= before.seq || value.time < before.time || (next && value.prev !== leaf)) {
      refuse("chain", `entry ${value.seq} does not stand after entry ${before.seq}`);
    }
  }
  return values;
}

/**
 * A history that is complete: the chain of `entries` from the stream's first on, whose last is the one that `receipt` proves. Gives
 * what `checkReceipt` gives, and `values`, those of all entries.
 */
export async function checkHistory(entries, receipt, keys, policy) {
  const found = await checkReceipt(receipt, keys, policy);
  return { ...found, values: await checkComplete(entries, found.entry) };
}

/** The values of a chain's entries (see `checkChain`), whose last is `entry`, the bytes of one that is proved. */
export async function checkComplete(entries, entry) {
  const values = await checkChain(entries);
  if (!values.length || !same(bytesOf(entries.at(-1)), entry)) {
    refuse("chain", `the last of ${values.length} entries is not the one that the receipt proves`);
  }
  return values;
}

/** `{entries, receipt}` of the proof of a history (`heartwood/history/v1`), as `heartwood history --prove` writes it. */
export function parseHistory(data) {
  let value;
  try {
    value = JSON.parse(textOf(bytesOf(data)));
  } catch {
    refuse("malformed", "got bytes that are not the proof of a history");
  }
  const texts = Array.isArray(value?.entries) ? [...value.entries, value.receipt] : [];
  if (texts.length < 2 || !texts.every((one) => typeof one === "string")) {
    refuse("malformed", "the proof of a history holds texts: at least one entry, and a receipt");
  }
  return { entries: value.entries, receipt: value.receipt };
}

// Hand-overs of the log's keys (docs/formats.md; `GET /v1/log/handovers`).

const NEXT = `\n${RECEIPT_HEAD}\n`; // where the next of several receipts begins
const CHAIN_LIMIT = 100; // most keys of the operator that lead to the one that hands over

/** Throws `signature` unless an entry's event was signed by an Ed25519 key of 32 bytes for the log of this origin, alone or in a bundle. */
export async function checkAuthor(value, origin, publicKey) {
  const event = utf8.encode(canonical(value.event));
  const { bundle, value: signature } = value.sig;
  let message = joined(utf8.encode(`heartwood/event/v1\n${origin}\n`), event);
  if (bundle) {
    const path = bundle.path.map((hash) => fromBase64(hash, 32));
    const root = await rootFromPath(bundle.index, bundle.size, await leafHash(event), path);
    message = utf8.encode(`heartwood/bundle/v1\n${origin}\n${bundle.size}\n${toBase64(root)}\n`);
  }
  const good = await verifies(publicKey, fromBase64(signature, 64), message);
  if (!good) refuse("signature", `the author's signature of entry ${value.seq} does not fit`);
}

/**
 * The keys that a log's keys hand over to, by receipts under one checkpoint that `keys` signed: `{checkpoint, keys}`. `added`: of the
 * `log_key.added`; `first`: of entry 0, which names the operator; `key`: those of the entries that put in the operator's keys, each signed
 * with the one before. Throws `unsigned` where `keys` did not sign it, and `handover` for what is none by the operator.
 */
export async function followHandover({ added, key, first }, keys) {
  const { value: given, checkpoint } = await checkReceipt(added, keys);
  const created = await checkUnder(first, checkpoint);
  if (created.seq || created.event.type !== "ledger.created" || given.event.type !== "log_key.added") {
    refuse("handover", "expected the receipts of log_key.added and of entry 0");
  }
  const { origin, operator } = created.event.body;
  if (origin !== checkpoint.origin) refuse("origin", `entry 0 is of the log ${origin}, not of ${checkpoint.origin}`);
  const holder = await lastKey(await chainOf(key, checkpoint), operator, origin);
  if (given.event.as?.role !== "operator" || given.seq <= holder.seq) refuse("handover", "log_key.added is not the operator's");
  await signedWith(given, operator.account, holder.key, origin);
  const fresh = await parseKeys(given.event.body.log_keys);
  if (fresh[0].name !== origin) refuse("origin", `the hand-over names keys of ${fresh[0].name}`);
  return { checkpoint, keys: fresh };
}

/** The entries that put in the operator's keys: none where it is the key of entry 0, whose receipt stands in their place. */
async function chainOf(key, checkpoint) {
  const texts = `\n${key}`.split(NEXT).slice(1);
  if (!texts.length || texts.length > CHAIN_LIMIT) refuse("malformed", "expected receipts of the operator's keys");
  const whole = texts.map((text, at) => `${RECEIPT_HEAD}\n${text}${at < texts.length - 1 ? "\n" : ""}`);
  const values = [];
  for (const text of whole) values.push(await checkUnder(text, checkpoint));
  return values[0].seq ? values : [];
}

async function lastKey(chain, operator, origin) {
  let holder = { seq: 0, key: operator };
  for (const value of chain) {
    const { body, as, type } = value.event;
    const put = type === "key.registered" && body.account === operator.account && as?.role === "person";
    if (!put || body.algorithm !== "ed25519" || "recovery" in body || value.seq <= holder.seq) {
      refuse("handover", `entry ${value.seq} is not the next key that the operator put in to sign with`);
    }
    await signedWith(value, operator.account, holder.key, origin);
    holder = { seq: value.seq, key: body };
  }
  return holder;
}

async function signedWith(value, account, named, origin) {
  if (value.event.actor !== account || value.sig.key !== named.key) {
    refuse("handover", `entry ${value.seq} is not signed by the operator's key ${named.key}`);
  }
  await checkAuthor(value, origin, fromBase64(named.public_key, 32));
}
