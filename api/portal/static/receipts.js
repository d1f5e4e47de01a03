// The page where anybody checks a receipt, or the proof of a history: nothing of it leaves this browser.
import * as log from "./heartwood-check.js";
import {
  checkOneLog, compare, fetched, keyLine, keysOf, known, lastSeen, number, say, seenLine, showBad, showGood, showWorking, when,
} from "./checking.js";

const place = document.querySelector("[data-part=check]");
const part = (name) => document.querySelector(`[data-part="${name}"]`);
const LIMIT = 256 * 1024 * 1024; // longest file that is read, in bytes: as of `heartwood check`
const QUIET = ["foreign", "malformed", "keys"]; // what whoever chose the file mends

/** What stands before the first letter, and behind the last: a receipt that is pasted loses its last newline. */
const tidy = (text) => `${text.replaceAll("\r\n", "\n").trim()}\n`;

const typedKeys = () => part("keys").value.split(/\s+/).filter(Boolean);

/** The keys of a receipt's log: typed, or this browser's and this page's where it is this page's log. */
async function keysFor(origin, seen) {
  const typed = typedKeys();
  if (typed.length) return log.parseKeys(typed);
  if (origin === place.dataset.origin) return keysOf(seen, JSON.parse(place.dataset.keys));
  part("other").open = true;
  throw new log.CheckError("foreign", `the receipt is of the log ${origin}`);
}

/** What an entry says, as pairs of a name and a text. */
function facts(found) {
  const { event, decision, time } = found.value;
  const inner = event.type === "access.refused" ? event.body.event : event;
  const did = known(`act-${inner.type}`) ? `${say(`act-${inner.type}`)} (${inner.type})` : inner.type;
  const denied = decision?.effect === "deny";
  return [
    ["entry", number(found.index)],
    ["what", denied ? say("refused", { what: did }) : did],
    ["who", `${say(`role-${inner.as?.role}`)}, ${inner.actor}`],
    ["about", inner.stream],
    ["when", when(time)],
    ["log", found.checkpoint.origin],
  ];
}

function showFacts(found) {
  part("facts").replaceChildren(
    ...facts(found).flatMap(([name, text]) => {
      const [term, told] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = say(`fact-${name}`);
      told.textContent = text;
      return [term, told];
    }),
  );
  part("facts").hidden = false;
}

/**
 * What a receipt proves by the log's keys. One of this page's log that these haven't signed, as keys that it had before, rests on the log of
 * today alone: see `today`.
 */
async function proved(receipt, keys, policy) {
  try {
    return await log.checkReceipt(receipt, keys, policy);
  } catch (error) {
    if (error.code !== "unsigned" || typedKeys().length || policy) throw error;
  }
  const { entry, index, checkpoint: note } = log.parseReceipt(receipt);
  const checkpoint = { ...log.saidBy(note), checked: [], unchecked: [] };
  return { value: await log.checkUnder(receipt, checkpoint), entry, index, checkpoint };
}

/** What is said of the log as it is now: that it still holds the receipt's, or why that isn't known. */
async function today(found, keys, seen) {
  if (found.checkpoint.origin !== place.dataset.origin) return { checked: [], unchecked: [say("elsewhere")] };
  const now = await log.openCheckpoint(await fetched("/checkpoint"), await keysOf(seen, JSON.parse(place.dataset.keys)));
  if (now.size < found.checkpoint.size) {
    throw new log.CheckError("consistency", `the log has ${now.size} entries now, the receipt is of one of ${found.checkpoint.size}`);
  }
  await checkOneLog(found.checkpoint, now);
  const before = typedKeys().length ? undefined : await compare(now, keys);
  const line = say("today", { size: number(now.size) });
  return { checked: typedKeys().length ? [line] : [line, seenLine(before)], unchecked: [] };
}

async function check(text, evidence) {
  const isHistory = text.startsWith("{");
  const { entries, receipt } = isHistory ? log.parseHistory(text) : { entries: [], receipt: text };
  const { origin } = log.saidBy(log.parseReceipt(receipt).checkpoint);
  const seen = await lastSeen(origin);
  evidence.seen = seen;
  const keys = await keysFor(origin, seen);
  const typedPolicy = part("policy").value.trim();
  const policy = typedPolicy ? await log.parsePolicy(tidy(typedPolicy)) : undefined;
  const found = await proved(receipt, keys, policy);
  if (isHistory) await log.checkComplete(entries, found.entry);
  const now = await today(found, keys, seen);
  showFacts(found);
  const count = number(entries.length);
  showGood(
    isHistory ? say("complete", { count, time: when(found.value.time) }) : say("holds", { seq: number(found.index), origin }),
    typedKeys().length ? [say("key-typed"), await log.fingerprint(keys[0].text)] : await keyLine(seen, keys),
    [
      ...(isHistory ? [say("chain", { count })] : []),
      ...(found.checkpoint.checked.length
        ? [say("included", { seq: number(found.index), size: number(found.checkpoint.size) })]
        : []),
      ...(found.witnesses ? [say("witnesses", { names: found.witnesses.signed.join(", "), size: number(found.checkpoint.size) })] : []),
      ...now.checked,
    ],
    [
      ...(found.checkpoint.checked.length ? [] : [say("earlier")]),
      ...(found.checkpoint.unchecked.length ? [say("mldsa")] : []),
      ...(found.witnesses ? [] : [say("no-policy")]),
      ...now.unchecked, say("authors"), say("script"),
    ],
  );
}

async function run(text) {
  const evidence = { proof: text };
  part("facts").hidden = true;
  part("result").hidden = false;
  showWorking();
  try {
    await check(tidy(text), evidence);
  } catch (error) {
    showBad(error, evidence, QUIET);
  }
  part("result").scrollIntoView({ block: "nearest" });
}

async function runFile(file) {
  if (!file) return;
  if (file.size > LIMIT) {
    part("result").hidden = false;
    showBad(new log.CheckError("malformed", `got a file of ${file.size} bytes`), {}, QUIET);
    return;
  }
  part("paste").value = "";
  await run(await file.text());
}

part("file").addEventListener("change", () => runFile(part("file").files[0]));
part("go").addEventListener("click", () => {
  const typed = part("paste").value;
  return typed.trim() ? run(typed) : runFile(part("file").files[0]);
});
const drop = part("drop");
for (const name of ["dragover", "dragenter"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  return runFile(event.dataTransfer.files[0]);
});
place.hidden = false;
