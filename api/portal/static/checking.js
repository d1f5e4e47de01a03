// What the pages that check share: their words, what they fetch, what this browser saw last, and how a verdict is shown.
import * as log from "./heartwood-check.js";

const language = document.documentElement.lang;
const moments = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const numbers = new Intl.NumberFormat(language);
const words = document.querySelector("#words").content;
const DATABASE = "heartwood-check";
const LOGS = "logs";
const TRIES = 5; // how often what was seen last may change under a check
const CONCURRENT_MS = 300_000; // how much later another tab of this browser may have looked

/** A moment as the log or this browser writes it, in the reader's own zone. */
export const when = (moment) => moments.format(new Date(moment));

/** A number as the page's language writes it. */
export const number = (value) => numbers.format(value);

/** A text of the page's language, filled in. */
export function say(name, filled = {}) {
  const text = words.querySelector(`[data-word="${name}"]`)?.textContent.trim() ?? name;
  return text.replace(/\{([a-z]+)\}/g, (whole, key) => filled[key] ?? whole);
}

/** Whether the page has a word for it. */
export const known = (name) => words.querySelector(`[data-word="${CSS.escape(name)}"]`) !== null;

/** The body of an address of this site; throws CheckError `network`, with the status where there was an answer. */
export async function fetched(path) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "same-origin", redirect: "error" });
    const text = await response.text();
    if (response.ok) return text;
  } catch (error) {
    throw new log.CheckError("network", `${path}: ${error.message}`);
  }
  throw Object.assign(new log.CheckError("network", `${path}: answered ${response.status}`), { status: response.status });
}

/** Throws `consistency` unless the larger of two checkpoints of one log extends the smaller one, by the log's own proof. */
export async function checkOneLog(one, other) {
  const [old, now] = one.size <= other.size ? [one, other] : [other, one];
  if (!old.size) return;
  let proof = [];
  if (old.size < now.size) {
    try {
      const answer = JSON.parse(await fetched(`/v1/log/consistency/${old.size}/${now.size}`));
      proof = answer.proof.map((hash) => log.fromBase64(hash, 32));
    } catch (error) {
      if (error.code === "network" && error.status !== 404) throw error;
      throw new log.CheckError("consistency", `no proof that ${now.size} entries extend ${old.size}: ${error.message}`);
    }
  }
  try {
    await log.checkConsistency(old.size, old.root, now.size, now.root, proof);
  } catch (error) {
    throw new log.CheckError("consistency", error.message);
  }
}

// What this browser saw last of each log: {origin, keys, since, size, root, time, at}, by its origin.

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function database() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(LOGS, { keyPath: "origin" });
  return asked(opening);
}

async function stored(origin) {
  const opened = await database();
  try {
    return await asked(opened.transaction(LOGS).objectStore(LOGS).get(origin));
  } finally {
    opened.close();
  }
}

/** Put `next` in the place of `before`; false where another tab was first. */
async function replaced(before, next) {
  const opened = await database();
  try {
    const place = opened.transaction(LOGS, "readwrite").objectStore(LOGS);
    const found = await asked(place.get(next.origin));
    if (found?.size !== before?.size || found?.root !== before?.root) return false;
    await asked(place.put(next));
    return true;
  } finally {
    opened.close();
  }
}

/** What this browser saw last of a log: undefined where that is nothing, null where it keeps nothing. */
export async function lastSeen(origin) {
  try {
    return await stored(origin);
  } catch {
    return null;
  }
}

/**
 * The verifier keys to check a log by: those that this browser has kept, or that these handed over to; where it kept none, those that the
 * page names. A hand-over that isn't proved throws.
 */
export async function keysOf(seen, told) {
  const kept = await log.parseKeys(seen?.keys ?? told);
  if (!seen || JSON.stringify(seen.keys) === JSON.stringify(told)) return kept;
  const before = { size: seen.size, root: log.fromBase64(seen.root, 32) };
  let keys = kept;
  for (const parts of JSON.parse(await fetched("/v1/log/handovers")).handovers) {
    let found;
    try {
      found = await log.followHandover(parts, keys);
    } catch (error) {
      if (error.code === "unsigned") continue; // from before these keys
      throw error;
    }
    await checkOneLog(before, found.checkpoint);
    keys = found.keys;
  }
  return keys;
}

/**
 * Check that a log is the one that this browser saw last, and keep the larger checkpoint. Gives what was seen before, as `lastSeen`.
 * `looked`: the number and time of an entry that was appended just now; one that was there before is of an old state.
 */
export async function compare(checkpoint, keys, looked) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const seen = await lastSeen(checkpoint.origin);
    if (seen) {
      await checkOneLog({ size: seen.size, root: log.fromBase64(seen.root, 32) }, checkpoint);
      const late = looked && looked.seq < seen.size && Date.parse(looked.time) + CONCURRENT_MS < Date.parse(seen.time);
      if (late) throw new log.CheckError("stale", `entry ${looked.seq} is not new: this browser saw ${seen.size} entries`);
      if (checkpoint.size <= seen.size) return seen;
    }
    const now = new Date().toISOString();
    const next = {
      origin: checkpoint.origin, keys: keys.map((key) => key.text), since: seen?.keys.includes(keys[0].text) ? seen.since : now, size: checkpoint.size,
      root: log.toBase64(checkpoint.root), time: looked?.time ?? seen?.time ?? now, at: now,
    };
    if (seen === null) return null;
    try {
      if (await replaced(seen, next)) return seen;
    } catch {
      return null;
    }
  }
  throw new log.CheckError("network", "other tabs of this browser check at the same time: open the page again");
}

/** Which witnesses cosigned a log, by its policy: `{names, size}`, or a word of the page where there are none. */
export async function witnessed(checkpoint, keys, policyText) {
  const policy = await log.parsePolicy(policyText);
  if (policy.quorum === "none") return "alone";
  let note;
  try {
    note = await fetched("/v1/log/cosigned");
  } catch (error) {
    if (error.status === 404) return "waiting";
    throw error;
  }
  const found = await log.openCheckpoint(note, keys);
  const { signed } = await log.checkQuorum(note, policy, keys);
  await checkOneLog(found, checkpoint);
  return { names: signed.join(", "), size: found.size };
}

// Showing.

const part = (name) => document.querySelector(`[data-part="${name}"]`);

function listed(name, lines) {
  part(name).replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }),
  );
}

/** Show that the check is under way. */
export function showWorking() {
  part("alarm").hidden = true;
  part("seal").className = "seal";
  part("title").textContent = say("working");
  showLine("");
  part("details").hidden = true;
}

function showLine(line, print = "") {
  part("line").textContent = line;
  part("print").textContent = print;
}

/** Show what holds: a title, the key by which as a line and its fingerprint, what was checked and what wasn't. */
export function showGood(title, [line, print], checked, unchecked) {
  part("seal").className = "seal good";
  part("title").textContent = title;
  showLine(line, print);
  listed("checked", checked);
  listed("unchecked", unchecked);
  part("details").hidden = false;
}

const TITLES = { unsigned: "signature", path: "root" };

/** Show what is wrong: a banner that stays, and no seal. What is in `quiet` is no alarm, nor a browser that can't check at all. */
export function showBad(error, evidence, quiet = []) {
  const code = error instanceof log.CheckError ? error.code : "malformed";
  const calm = ["unsupported", ...quiet].includes(code);
  part("seal").className = "seal open";
  part("title").textContent = say("open");
  showLine(calm ? say(known(`quiet-${code}`) ? `quiet-${code}` : `wrong-${code}`) : "");
  part("details").hidden = true;
  if (calm) return;
  part("wrong").textContent = say(`wrong-${TITLES[code] ?? code}`);
  part("advice").textContent = say(known(`advice-${code}`) ? `advice-${code}` : "advice");
  part("detail").textContent = error.message;
  part("alarm").hidden = false;
  offer(part("evidence"), "heartwood-evidence.json", () =>
    JSON.stringify({ at: new Date().toISOString(), code, message: error.message, page: location.href, ...evidence }, null, 1),
  );
}

/** Let a button save a file. */
export function offer(button, name, text) {
  button.hidden = false;
  button.onclick = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text()], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
}

/** What is said of the log's key: whence it is; and its fingerprint. */
export async function keyLine(seen, keys) {
  const print = await log.fingerprint(keys[0].text);
  if (!seen) return [say("key-told"), print];
  const kept = seen.keys.includes(keys[0].text);
  return [kept ? say("key-known", { time: when(seen.since) }) : say("key-handed"), print];
}

/** What is said of what this browser saw before. */
export function seenLine(seen) {
  if (seen === null) return say("forgets");
  return seen ? say("continues", { size: number(seen.size), time: when(seen.at) }) : say("first");
}

/** What is said of the witnesses. */
export const witnessLine = (found) =>
  typeof found === "string" ? say(found) : say("witnesses", { names: found.names, size: number(found.size) });
