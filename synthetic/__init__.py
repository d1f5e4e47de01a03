"""Made-up patients with whole records: the same seed gives the same bytes on every machine.

Pure: no clock, no files, no network. Whatever is drawn comes from named streams (`chance`), and what
is computed uses only arithmetic that IEEE 754 rounds alike everywhere, so no C library, locale or
compression library has a say in the bytes. Right in form and plausible in medicine; about nobody.

`people` makes households, `life` their lasting `illnesses`, `planning` the visits of a life, `chart`
the FHIR resources: `observing` and `courses` what is measured, then imaging, documents and claims.
"""

from synthetic.patients import YEARS, SyntheticPatient, patient, patients
from synthetic.pdf import letter_pdf
from synthetic.places import region
from synthetic.png import scan_png

__all__ = [
    "YEARS",
    "SyntheticPatient",
    "letter_pdf",
    "patient",
    "patients",
    "region",
    "scan_png",
]
