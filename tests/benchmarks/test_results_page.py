"""The tables of docs/results.md, made of the results of networks with and without a guide."""

import pytest
import results_page
from score_helpers import GUIDE_LABELS

from burnish.operators.paper import PAPER_OPERATORS


def row(psnr, cast=None, guide=None, bundled=True):
    scores = {"psnr": psnr, "worst_psnr": psnr - 1, "ssim": 0.9}
    if cast is not None:
        scores |= {"cast": cast, "grain": None, "worst_photo": "hut.jpg"}
    return {"bundled": bundled, "guide": guide, "fidelity": {"small": scores}}


@pytest.fixture
def measured():
    """Nine guided networks and, last, one without a guide."""
    *names, last = PAPER_OPERATORS
    operators = {
        name: {
            "untouched": row(20, 5, bundled=False),
            f"{name} (fast), guide: operator": row(40, 1, "operator"),
            f"{name} (fast), guide: network": row(30, 3, "network"),
            f"{name}-can24 (can24)": row(10, bundled=False),
        }
        for name in names
    }
    operators[last] = {"untouched": row(20, 5, bundled=False), f"{last} (fast)": row(50, 2)}
    return {"photos": {"small": "two from 'small'"}, "operators": operators}


def test_mean_table_takes_a_network_without_guide_for_each_guide(measured):
    lines = results_page.mean_table(measured).splitlines()
    assert "| unedited photo | 20.00 | 5.00 |" in lines
    assert "| network, guide: operator | 41.00 | 1.10 |" in lines
    assert "| network, guide: network | 32.00 | 2.90 |" in lines
    assert not any(line.startswith("| network |") for line in lines)


def test_mean_table_leaves_a_mean_out_that_lacks_an_operator(measured):
    del measured["operators"]["tv-l1"]["untouched"]["fidelity"]["small"]["cast"]
    assert "| unedited photo | 20.00 |  |" in results_page.mean_table(measured).splitlines()


def test_operator_tables_are_one_for_each_set_of_folders():
    rows = {"untouched": row(20, 5, bundled=False), "new": row(30, 1), "old": row(15)}
    rows["reference operator"] = {}
    rows["untouched"]["fidelity"]["large"] = rows["untouched"]["fidelity"]["small"]
    rows["old"]["fidelity"] = {"large": rows["old"]["fidelity"]["small"]}
    small, large = results_page.operator_tables(rows, ["small", "large"])
    assert "| unedited photo | 20.00 | 19.00 (hut) | 0.900 | 5.0 |  |" in small
    assert "**new** | 30.00 |" in small
    assert "| operator |" in small
    assert "| unedited photo | 20.00 |" in large
    assert "**old** | 15.00 | 14.00 | 0.900 |" in large
    assert "**new**" not in large


def test_mean_table_has_folders_on_which_all_networks_were_measured(measured):
    measured["photos"]["large"] = "one from 'large'"
    for rows in measured["operators"].values():
        rows["untouched"]["fidelity"]["large"] = rows["untouched"]["fidelity"]["small"]
    table = results_page.mean_table(measured)
    assert "| | small: PSNR | cast |" in table
    assert "large" not in table


def test_labels_of_the_page_are_those_of_the_benchmarks():
    assert list(GUIDE_LABELS.values()) == list(results_page.GUIDE_LABELS)
