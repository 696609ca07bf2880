"""The case file keeps its bounds without losing what is rare."""

from __future__ import annotations

from collections import Counter

from unipam.diagnose.case import MAX_FACTS_OF_A_KIND, Case, evidence

HERE = evidence("log", 1, "a line")


def test_facts_of_one_kind_are_limited_whatever_their_texts_begin_with() -> None:
    case = Case()
    for number in range(200):
        case.fact("address-in-use", f"10.240.0.{number} is in use.", HERE)
    case.fact("pool-use", "10.240.0.0/16 has 200 addresses in use.", HERE)
    assert Counter(text.rpartition(" ")[2] for text in case.facts) == {"use.": MAX_FACTS_OF_A_KIND + 1}
    assert case.facts_left_out == 200 - MAX_FACTS_OF_A_KIND


def test_kinds_whose_texts_begin_alike_do_not_crowd_one_another_out() -> None:
    case = Case()
    for number in range(200):
        case.fact("calico-teardown", f"Calico finished the teardown of container {number}.", HERE)
    case.fact("calico-log", "Calico finished writing its log.", HERE)
    assert "Calico finished writing its log." in case.facts


def test_a_fact_that_is_told_again_is_counted_and_its_evidence_not_made() -> None:
    case = Case()
    case.fact("network", "Network azure: mode bridge.", lambda: HERE)
    case.fact("network", "Network azure: mode bridge.", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    assert case.facts["Network azure: mode bridge."].count == 2
