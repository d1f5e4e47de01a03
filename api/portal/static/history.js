// The page of a history: that no entry is missing, that the page lists what the log holds, and that it is the log of last time.
import * as log from "./heartwood-check.js";
import {
  compare, fetched, keyLine, keysOf, lastSeen, number, offer, say, seenLine, showBad, showGood, showWorking, when, witnessed,
  witnessLine,
} from "./checking.js";

const { origin, keys: told, policy, patient, proof: address, seq, only, number: page, most, own, reads } =
  document.querySelector("[data-part=check]").dataset;
const READS = new Set(reads.split(" "));

/** An entry as the page lists it: of a refusal, the act that was refused. */
function act({ seq: entry, event, decision }) {
  const inner = event.type === "access.refused" ? event.body.event : event;
  const [effect, rule] = [decision?.effect ?? "", decision?.rule ?? ""];
  return { seq: entry, type: inner.type, actor: inner.actor, effect, rule, time: Date.parse(event.at) };
}

const FITS = {
  "": () => true,
  others: (one) => one.actor !== own,
  read: (one) => READS.has(one.type),
  refused: (one) => one.effect === "deny",
  asked: (one) => one.type === "access.requested",
  consent: (one) => one.actor === own && !READS.has(one.type),
};

const lineOf = (one) => [one.seq, one.type, one.actor, one.effect, one.rule, one.time].join(" ");

/** What the page lists, in its order. */
const listed = () =>
  [...document.querySelectorAll("[data-act]")].map((item) => {
    const time = Date.parse(item.querySelector("time").dateTime);
    return `${item.dataset.act} ${time}`;
  });

/** Throws unless the page lists exactly the acts of these entries that belong on it. */
function checkPage(values) {
  const acts = values.slice(0, -1).map(act).reverse().filter(FITS[only]);
  const expected = acts.slice((page - 1) * most, page * most).map(lineOf);
  const shown = listed();
  const wrong = expected.findIndex((line, at) => line !== shown[at]);
  if (wrong >= 0 || shown.length !== expected.length) {
    const at = wrong < 0 ? expected.length : wrong;
    throw new log.CheckError("shown", `line ${at + 1}: got ${shown[at] ?? "nothing"}, expected ${expected[at] ?? "nothing"}`);
  }
}

/** Throws unless the history is this chart's and ends with the look that opened this page. */
function checkLook(found) {
  const last = found.values.at(-1);
  if (last.event.stream !== `patient/${patient}`) throw new log.CheckError("chain", `the history is that of ${last.event.stream}`);
  if (found.index !== Number(seq) || last.event.type !== "history.opened" || last.event.actor !== own) {
    throw new log.CheckError("chain", `the history ends with entry ${found.index}, not with this look, ${seq}`);
  }
}

async function check(evidence) {
  const seen = await lastSeen(origin);
  evidence.seen = seen;
  const keys = await keysOf(seen, JSON.parse(told));
  evidence.proof = await fetched(address);
  const { entries, receipt } = log.parseHistory(evidence.proof);
  const found = await log.checkHistory(entries, receipt, keys);
  checkLook(found);
  const before = await compare(found.checkpoint, keys, found.value);
  checkPage(found.values);
  const witnesses = await witnessed(found.checkpoint, keys, policy);
  const count = number(found.values.length);
  showGood(
    say("complete", { count, time: when(found.value.time) }),
    await keyLine(seen, keys),
    [
      say("chain", { count }),
      say("included", { seq: number(found.index), size: number(found.checkpoint.size) }),
      say("shown"),
      seenLine(before),
      witnessLine(witnesses),
    ],
    [...(found.checkpoint.unchecked.length ? [say("mldsa")] : []), say("authors"), say("names"), say("script")],
  );
  offer(document.querySelector("[data-part=keep]"), `history-${patient}-${seq}.json`, () => evidence.proof);
}

const evidence = { listed: listed() };
showWorking();
try {
  await check(evidence);
} catch (error) {
  showBad(error, evidence);
}
