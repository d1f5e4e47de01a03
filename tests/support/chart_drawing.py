"""Random events on charts: records, and what their patients say of who may read them."""

from __future__ import annotations

from crypto.encoding import b64encode
from identity.actors import Actor
from keeper.protocol import NewBlob
from ledger.times import DAY_MS, format_time
from storage.keytable import LABEL_KEY
from tests.support.drawing import (
    ADULT,
    CATEGORIES,
    CHILD,
    HOUR_MS,
    SIZE,
    TEEN,
    Body,
    Chart,
    Drawing,
    Record,
)
from tests.support.memory_log import SEALED

CHARTS, RECORDS = 3, 8
"""Most of each; the fewer there are, the more often they meet."""


class Charts(Drawing):
    """What is drawn about charts."""

    # Charts and records

    def add_chart(self) -> None:
        """A patient is registered by somebody of a hospital; a doctor's patient gets a key by the admin."""
        if len(self.charts) >= CHARTS:
            return
        at = self.hospitals[0] if self.maybe(0.7) else self.rng.choice(self.hospitals)
        by = self.rng.choice((at.system, at.admin, self.doctor_of(at)))
        patient, person = (
            self.id("pt"),
            Actor(self.origin, self.id("ac"), "patient", "", self.new_key()),
        )
        for name, subject in (
            (patient, patient), (LABEL_KEY, patient), (person.account, person.account)
        ):  # fmt: skip
            self.objects[name, subject] = by.account
        chart = Chart(patient, person, at)
        body = {"account": person.account, "patient": patient, "purpose": "TREAT"}
        ages = self.rng.choice((ADULT, ADULT, ADULT, TEEN))
        self.do(by, "patient.registered", chart.stream, body | ages)
        self.do(at.admin, "key.registered", f"account/{person.account}", self.key_body(person))
        self.charts.append(chart)

    def correct(self) -> None:
        """By the hospital that registered or another; of age or not, now and then dead or nobody."""
        chart = self.rng.choice(self.charts)
        at = chart.at if self.maybe(0.8) else self.rng.choice(self.hospitals)
        patient = chart.patient if self.maybe(0.9) else self.id("pt")
        body: Body = {"patient": patient, "purpose": "TREAT"} | self.rng.choice(
            (ADULT, ADULT, TEEN, CHILD)
        )
        if self.maybe(0.1):
            body["deceased"] = True
        by = self.rng.choice((at.system, at.admin, self.doctor_of(at)))
        self.do(by, "patient.corrected", f"patient/{patient}", body)
        self.rng.choice((self.consent, self.read))()

    def upload(self) -> None:
        """A new record, or a version more of one; read at once, perhaps."""
        chart = self.rng.choice(self.charts)
        author = self.rng.choice((
            chart.at.system, chart.at.system, self.doctor_of(chart.at), chart.actor,
            self.rng.choice(self.doctors),
        ))  # fmt: skip
        if chart.records and (len(chart.records) >= RECORDS or self.maybe(0.3)):
            record = self.rng.choice(chart.records)
            if self.maybe(0.8):
                author = self.author_at(record.hospital) or author
            record.blobs.append(self.version(chart, author, record))
        else:
            at = author.hospital
            record = Record(self.id("rc"), at, [], self.labels[:1] if self.maybe(0.2) else [])
            record.blobs.append(self.version(chart, author, record))
            chart.records.append(record)
        if self.maybe(0.3):
            self.read(None, chart, record)

    def version(self, chart: Chart, author: Actor, record: Record) -> str:
        """The next version's event; one in fifty names a blob that was not staged or that is another's."""
        blob = NewBlob(record.record, self.id("bl"), self.rng.randbytes(32), self.rng.randbytes(32))
        self.objects.setdefault((record.record, chart.patient), author.account)
        if self.maybe(0.98):
            self.blobs[blob.blob] = author.account, chart.patient, blob
        body: Body = {
            "blob": blob.blob, "category": self.rng.choice(CATEGORIES),
            "confidentiality": "restricted" if self.maybe(0.15) else "normal",
            "media_type": "text/plain", "purpose": "TREAT", "record": record.record,
            "sha256": b64encode(blob.sha256), "size": SIZE, "version": len(record.blobs) + 1,
        }  # fmt: skip
        if record.labels:
            body |= {"labels": record.labels, "sensitive": True}
        if self.maybe(0.5):
            body["clinical_date"] = self.rng.choice(("2026-01-02", "2026-03-04"))
        kind = "record.amended" if record.blobs else "record.uploaded"
        self.do(author, kind, chart.stream, body)
        return blob.blob

    def change_record(self) -> None:
        """Hidden or shown by the patient, or retracted by somebody; and read."""
        chart = self.rng.choice(self.charts)
        if not chart.records:
            return
        record = self.rng.choice(chart.records)
        if self.maybe(0.7):
            kind = "record.shown" if record.hidden else "record.hidden"
            record.hidden = not record.hidden
            actor, purpose = chart.actor, "PATRQT"
        else:
            kind, purpose = "record.retracted", "TREAT"
            actor = self.author_at(record.hospital) or chart.actor
            actor = actor if self.maybe(0.8) else self.rng.choice(self.doctors)
        self.do(actor, kind, chart.stream, {"purpose": purpose, "record": record.record})
        self.read(None, chart, record)

    # Consent

    def consent(self) -> None:
        """A grant, a revocation, an exclusion, or the end of one; and readings by whom it is about."""
        chart = self.rng.choice(self.charts)
        act = self.rng.choice((*5 * (self.grant,), self.revoke, *2 * (self.exclude,)))
        reader = act(chart)
        for _ in range(self.rng.randint(1, 2)):
            self.read(self.reader_of(reader), chart)

    def link(self) -> None:
        """A hospital links two charts, in one stream or in both, perhaps ends that; whom one excludes reads in the other."""
        if len(self.charts) < 2:
            return
        one, other = self.rng.sample(self.charts, 2)
        at = self.rng.choice((one.at, one.at, other.at, *self.hospitals))
        if self.maybe(0.5):
            for chart in (one, other):
                chart.records.append(Record(self.id("rc"), at.hospital, [], []))
                chart.records[-1].blobs.append(self.version(chart, at.system, chart.records[-1]))
        kind = "patient.linked" if self.maybe(0.7) else "patient.unlinked"
        by = self.rng.choice((at.system, at.admin))
        reader = self.exclude(one) if self.maybe(0.4) else ""
        for own, named in ((one, other), (other, one)):
            if self.maybe(0.8):
                self.said_of(by, kind, own, named)
        if self.maybe(0.3):
            self.said_of(other.actor, kind, other, one)
        reader = self.exclude(one) if self.maybe(0.6) else reader
        who = self.reader_of(reader) if reader else self.rng.choice(self.doctors)
        if self.maybe(0.5):
            self.grant(other, who.account)
        for _ in range(2):
            self.read(who, other)

    def said_of(self, by: Actor, kind: str, own: Chart, other: Chart) -> None:
        """That two charts are of one person, or aren't, in the stream of the first."""
        body = {"other": other.patient, "patient": own.patient, "purpose": "TREAT"}
        self.do(by, kind, own.stream, body)

    def emergency(self) -> None:
        """A doctor declares one, and reads; meanwhile the patient may set a ceiling, or exclude the doctor."""
        chart, doctor = self.rng.choice(self.charts), self.rng.choice(self.doctors)
        if self.maybe(0.3):
            body = {
                "ceiling": self.rng.choice(("normal", "off", "restricted")),
                "purpose": "PATRQT",
            }
            self.do(chart.actor, "emergency.configured", chart.stream, body)
        body = {"purpose": "BTG", "reason": "other", "text": SEALED}
        declared = self.do(doctor, "emergency.declared", chart.stream, body)
        self.read(doctor, chart, purpose="BTG")
        if self.maybe(0.2):
            self.exclude(chart, self.rng.choice((doctor.account, doctor.hospital)))
        for _ in range(2):
            self.read(self.rng.choice((doctor, doctor, *self.doctors)), chart, purpose="ETREAT")
        if self.maybe(0.5):
            admin = self.rng.choice(self.hospitals).admin
            found = {
                "emergency": declared,
                "finding": "justified",
                "purpose": "HOPERAT",
                "text": SEALED,
            }
            self.do(admin, "emergency.reviewed", chart.stream, found)

    def disclose(self) -> None:
        """By a hospital that has a record, or none; told at once, or not before tomorrow, whatever the service says."""
        chart, at = self.rng.choice(self.charts), self.rng.choice(self.hospitals)
        texts = dict.fromkeys(("description", "recipient", "statement"), SEALED)
        given: Body = texts | {
            "count": 1, "given": format_time(self.now), "list": [SEALED], "purpose": "HLEGAL",
            "root": b64encode(bytes(32)),
        }  # fmt: skip
        self.do(self.rng.choice((at.admin, at.system)), "record.disclosed", chart.stream, given)
        body = {"disclosed": given, "order": SEALED, "until": format_time(self.now + DAY_MS)}
        self.do(at.admin, "disclosure.withheld", at.stream, body | {"patient": chart.patient})

    def anybody(self) -> str:
        """A person, a hospital or a group; now and then one that nobody registered."""
        doctor, at = self.rng.choice(self.doctors), self.rng.choice(self.hospitals)
        usual = (doctor.account, doctor.account, at.hospital, *at.groups, *at.groups)
        return self.rng.choice(usual) if self.maybe(0.97) else self.id("gp")

    def reader_of(self, reader: str) -> Actor:
        """A doctor whom a grant or an exclusion of `reader` is about, as far as is known here."""
        fitting = [one for one in self.doctors if reader in (one.account, one.hospital)]
        fitting += [doctor for _, group, doctor in self.in_groups if group == reader]
        return self.rng.choice(fitting or self.doctors)

    def exclude(self, chart: Chart, reader: str = "") -> str:
        """An exclusion, or the end of one."""
        if not reader:
            known = [*5 * chart.excluded, *chart.grantees()]
            reader = self.rng.choice(known) if known and self.maybe(0.7) else self.anybody()
        kind = "reader.included" if reader in chart.excluded else "reader.excluded"
        if reader in chart.excluded:
            chart.excluded.remove(reader)
        else:
            chart.excluded.append(reader)
        self.do(chart.actor, kind, chart.stream, {"purpose": "PATRQT", "reader": reader})
        return reader

    def grant(self, chart: Chart, grantee: str = "") -> str:
        """Of all, some categories or some records; anew or in an old lineage."""
        grant, lineage = self.id("gr"), ""
        if chart.grants and not grantee and self.maybe(0.3):
            _, grantee, lineage = self.rng.choice(chart.grants)
        grantee = grantee or self.anybody()
        start = self.now + (HOUR_MS if self.maybe(0.05) else -HOUR_MS)
        end = self.now - 1 if self.maybe(0.03) else self.now + DAY_MS * self.rng.choice((1, 60))
        body: Body = {
            "actions": self.rng.choice((*6 * (["list", "read"],), ["read"], ["list"])),
            "end": format_time(end), "grant": grant, "grantee": grantee, "purpose": "PATRQT",
            "scope": "full", "start": format_time(start),
        } | ({"lineage": lineage} if lineage else {})  # fmt: skip
        body |= self.scope(chart)
        if self.maybe(0.3):
            body["uses"] = self.rng.randint(1, 2)
        if self.maybe(0.2):
            body["purposes"] = ["HRESCH", "TREAT"]
        self.do(chart.actor, "access.granted", chart.stream, body, v=2)
        chart.grants.append((grant, grantee, lineage or grant))
        return grantee

    def scope(self, chart: Chart) -> Body:
        """What of the chart is granted, with or without exceptions."""
        body: Body = {}
        dice = self.rng.random()
        if dice < 0.15 and chart.records:
            records = sorted(record.record for record in self.some(chart.records, 3))
            body = {"records": records, "scope": "selective"}
        elif dice < 0.3:
            body = {"scope": "partial", "what": {"categories": sorted(self.some(CATEGORIES, 2))}}
        elif self.maybe(0.3):
            body["sensitive"] = True
        if self.maybe(0.1):
            inner: Body = {"date_to": "2026-02-01", "type": "permit"}
            denied: Body = {"categories": [self.rng.choice(CATEGORIES)], "type": "deny"}
            body["exceptions"] = [denied | ({"exceptions": [inner]} if self.maybe(0.5) else {})]
        if self.maybe(0.2):
            body["labels"] = sorted(self.labels)
        return body

    def revoke(self, chart: Chart) -> str:
        """One grant's lineage, or all of a grantee's."""
        if not chart.grants:
            return self.grant(chart)
        grant, grantee, _ = self.rng.choice(chart.grants)
        body = {"grantee": grantee, "purpose": "PATRQT"}
        if self.maybe(0.5):
            body["grant"] = grant
        self.do(chart.actor, "access.revoked", chart.stream, body, v=2)
        return grantee
