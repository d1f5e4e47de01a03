"""The benchmarks themselves: every target is measured, what they time is there, what they write has its place."""

import importlib
import inspect
import time
from itertools import pairwise

import pytest

from benchmarks.__main__ import COMPARED, TARGETED
from benchmarks.clinic import zipfian
from benchmarks.measure import Figure
from benchmarks.page import PAGE, PLOTS, markdown, replaced
from benchmarks.places import APPEND, READING, VERIFY, in_order
from benchmarks.plots import LABEL_SPACE, Line, Panel, _apart, chart
from benchmarks.stopwatch import Place, Spent, Stopwatch, find
from benchmarks.targets import TARGETS, Target


def test_every_target_has_a_row() -> None:
    for name, target in TARGETS.items():
        module = importlib.import_module(f"benchmarks.{target.benchmark}")
        assert target.benchmark in TARGETED
        written = inspect.getsource(module)
        whole, made = f'"{name}"', name.startswith("verify") and 'f"verify {library}' in written
        assert whole in written or made, f"{target.benchmark} measures no {name}"


def test_a_target_counts_value_and_ratio() -> None:
    assert TARGETS["signed"].text == "≥ 8,500 events/s and ≥ 0.50 of the limit"
    assert Figure.of("signed", 8_500, 17_000).met
    assert not Figure.of("signed", 8_500, 20_000).met, "the ratio counts, too"
    assert not Figure.of("signed", 8_499, 10_000).met
    assert not Figure.of("signed", 8_500).met, "a ratio without a limit is none"
    at_most = Target("x", "ms", "receipts", 1, most=True)
    assert at_most.met(1, None)
    assert not at_most.met(1.01, None)


@pytest.mark.parametrize("block", ["targets", *COMPARED])
def test_the_page_has_a_block_for_each(block: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"<!-- {block} -->\nx\n<!-- /{block} -->" in replaced(text, block, "x")


def test_the_page_shows_every_plot() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for plot in PLOTS.glob("*.svg"):
        assert f"(performance/{plot.name})" in text
        assert plot.read_text(encoding="utf-8").startswith("<svg ")


def test_a_block_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected one block"):
        replaced("<!-- a -->\n<!-- /a -->\n", "b", "x")
    assert replaced("<!-- a -->\nold\n<!-- /a -->\n", "a", r"\1 new") == "<!-- a -->\n\\1 new\n<!-- /a -->\n"  # fmt: skip


def test_what_the_profile_times_is_there() -> None:
    for place in (*APPEND, *READING, *VERIFY):
        owner, name = find(place.where)
        assert callable(getattr(owner, name))
    assert len(in_order()) == len(set(in_order()))


class _Work:
    """`clock` is moved by hand: no machine is too busy for this test."""

    clock = 0

    def outer(self) -> None:
        _Work.clock += 1
        self.inner()
        self.inner()

    def inner(self) -> None:
        _Work.clock += 10


def test_a_stopwatch_counts_own_time_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter_ns", lambda: _Work.clock)
    monkeypatch.setattr(time, "thread_time_ns", lambda: _Work.clock // 10)
    places = [Place(name, f"{__name__}:_Work.{name}") for name in ("outer", "inner")]
    watch, before = Stopwatch(), (_Work.outer, _Work.inner)
    with watch.watching(places):
        _Work().outer()
    assert (_Work.outer, _Work.inner) == before
    assert watch.rows == {"outer": Spent(1, 0, 1), "inner": Spent(20, 2, 2)}


def test_labels_keep_apart_and_inside() -> None:
    placed = _apart([10, 11, 12, 100, 199], 0, 200)
    assert all(b - a >= LABEL_SPACE - 1e-9 for a, b in pairwise(placed))
    assert placed[0] >= 0
    assert placed[-1] <= 200


def test_a_chart_names_its_lines_and_escapes() -> None:
    panel = Panel("a < b", "x", "y", [Line("one", [(1, 10), (100, 1_000)], 0)])
    svg = chart("title & more", "below", [panel], 1)
    assert "title &amp; more" in svg
    assert "a &lt; b" in svg
    assert ">one</text>" in svg


def test_zipfian_weights() -> None:
    weights = zipfian(3)
    assert weights == pytest.approx([1, 1 + 2**-0.99, 1 + 2**-0.99 + 3**-0.99])


def test_tables() -> None:
    assert markdown(["a", ">b"], [["1", "2"]]) == "| a | b |\n| --- | --: |\n| 1 | 2 |"
