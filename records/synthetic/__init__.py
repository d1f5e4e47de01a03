"""Made-up patients, letters and scans: the same seed gives the same bytes on every machine.

Pure: no clock, no files, no network. Whatever is drawn comes from a seeded `random.Random` and is
computed in integers, so no float, locale or compression library has a say in the bytes. The data
is right in form, not in medicine: a toddler may have an adult's pulse.
"""

from records.synthetic.patients import SyntheticPatient, patients
from records.synthetic.pdf import letter_pdf
from records.synthetic.png import scan_png

__all__ = ["SyntheticPatient", "letter_pdf", "patients", "scan_png"]
