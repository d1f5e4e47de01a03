"""A day on a ledger as one page: what happened, who looked, how it is chained, what an auditor found.

`Day` holds what journeys and the auditor's tools returned; `page.render` makes everything of it. The
page is one file of HTML with its drawings in it: no network, no script, no font from elsewhere.
"""

from demo.report.day import Day, Done, Found, Mark, Seen

__all__ = ["Day", "Done", "Found", "Mark", "Seen"]
