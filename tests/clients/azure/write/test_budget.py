"""The budget of a subscription: our own bucket, and a share for others of what the service grants."""

from __future__ import annotations

from unipam.clients.azure.write.budget import FOR_OTHERS, Budget

WRITES = "x-ms-ratelimit-remaining-subscription-writes"
GLOBAL = "x-ms-ratelimit-remaining-subscription-global-writes"


def spend(budget: Budget, calls: int) -> float:
    """Seconds that so many calls take, each as soon as it may be."""
    now = 0.0
    for _ in range(calls):
        now = budget.ready_at(now, writes=True, free=False)
        budget.take(now, writes=False, free=False)
    return now


def test_a7_calls_take_what_the_limit_says() -> None:
    """A7: K calls at q a second and a burst of b take (K − b) / q, to a tenth."""
    for calls, rate, burst in ((100, 4.0, 20), (400, 20.0, 4), (30, 4.0, 1)):
        least = (calls - burst) / rate
        assert least - 1e-6 <= spend(Budget(rate, burst), calls) <= 1.1 * least


def test_a_look_at_what_was_begun_costs_nothing() -> None:
    budget = Budget(1.0, 1)
    budget.take(0.0, writes=False, free=False)
    assert budget.ready_at(0.0, writes=False, free=True) == 0.0
    assert budget.ready_at(0.0, writes=False, free=False) == 1.0


def test_what_is_closed_is_closed_for_its_kind_only() -> None:
    budget = Budget()
    budget.close(100.0, writes=True)
    assert budget.ready_at(0.0, writes=True, free=True) == 100.0
    assert budget.ready_at(0.0, writes=False, free=True) == 0.0


def test_a_share_is_left_for_others() -> None:
    budget = Budget()
    budget.heed({WRITES: "200"}, 0.0)
    budget.heed({WRITES: str(int(200 * FOR_OTHERS))}, 0.0)
    assert budget.ready_at(0.0, writes=True, free=False) == 0.0
    budget.heed({GLOBAL: "30"}, 0.0)
    assert budget.ready_at(0.0, writes=True, free=False) == 2.0, "until a bucket of 200 in 20 s has 50 again"
    assert budget.ready_at(0.0, writes=False, free=False) == 0.0
    assert budget.remaining == {"writes": 30.0}


def test_what_is_granted_by_the_hour_comes_back_in_an_hour() -> None:
    budget = Budget()
    budget.heed({WRITES: "1200"}, 0.0)
    budget.heed({WRITES: "240"}, 0.0)
    assert budget.ready_at(0.0, writes=True, free=False) == 180.0


def test_every_policy_of_compute_counts() -> None:
    budget = Budget()
    header = "x-ms-ratelimit-remaining-resource"
    budget.heed({header: "Microsoft.Compute/PutVM3Min;100,Microsoft.Compute/GetVM30Min;1000"}, 0.0)
    budget.heed({header: "Microsoft.Compute/PutVM3Min;5,Microsoft.Compute/GetVM30Min;900"}, 0.0)
    assert budget.ready_at(0.0, writes=True, free=False) == 0.2 * 180
    assert budget.ready_at(0.0, writes=False, free=False) == 0.0


def test_nonsense_in_a_header_is_passed_over() -> None:
    budget = Budget()
    budget.heed({WRITES: "many", "x-ms-ratelimit-remaining-resource": ";,a;b"}, 0.0)
    assert budget.remaining == {}
