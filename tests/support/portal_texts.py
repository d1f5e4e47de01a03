"""Every text that pages show, found in templates and tables by Babel's own extraction."""

from pathlib import Path

from babel.messages.extract import extract_from_dir

PORTAL = Path(__file__).parents[2] / "api" / "portal"
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
KEYWORDS = {"_": None, "mark": None, "gettext": None, "ngettext": (1, 2)}


def extracted() -> set[str | tuple[str, ...]]:
    """The texts in English; of those with a plural, both."""
    options = {"**.html": {"silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"}}
    found = extract_from_dir(PORTAL, METHODS, options, keywords=KEYWORDS)
    return {message for _, _, message, _, _ in found}
