"""When nodes are added and when they leave, without a node."""

from __future__ import annotations

import random

import pytest

from engine.errors import VivifyError
from webrtc.fleet.scaling import Limits, Scaling, Seen, Wishes

pytestmark = pytest.mark.cpu


def up(name: str, free: int, slots: int = 4, retired: bool = False) -> Seen:
    return Seen(name, True, slots, free, retired)


def test_the_least_number_of_nodes_is_started_at_once() -> None:
    assert Scaling(Limits(3, 5)).decide([], 0) == Wishes(start=3)
    assert Scaling(Limits(3, 5)).decide([Seen("n1", False)], 0) == Wishes(start=2)


def test_a_node_is_added_while_places_run_out_and_only_one() -> None:
    rule = Scaling(Limits(1, 3, spare=2))
    assert rule.decide([up("n1", 2)], 0) == Wishes()
    assert rule.decide([up("n1", 1)], 1) == Wishes(start=1)
    assert rule.decide([up("n1", 0), Seen("n2", False)], 2) == Wishes(), "it is on its way, with as many places"
    assert rule.decide([up("n1", 0), up("n2", 1)], 3) == Wishes(start=1)
    assert rule.decide([up("n1", 0), up("n2", 1), up("n3", 0)], 4) == Wishes(), "there may be no more"


def test_as_many_are_added_as_the_places_that_are_wanted_take() -> None:
    assert Scaling(Limits(1, 9, spare=7)).decide([up("n1", 0, slots=3)], 0) == Wishes(start=3)


def test_a_node_that_dies_is_not_one_more_to_start() -> None:
    assert Scaling(Limits(2, 4)).decide([up("n1", 4), Seen("n2", False)], 0) == Wishes()


def test_one_too_many_is_retired_after_a_while_and_leaves_when_it_is_empty() -> None:
    rule = Scaling(Limits(1, 3, spare=1, idle_s=60))
    nodes = [up("n1", 1), up("n2", 3), up("n3", 2)]
    assert rule.decide(nodes, 0) == Wishes()
    assert rule.decide(nodes, 59) == Wishes()
    assert rule.decide(nodes, 60) == Wishes(retire=("n2",)), "the one with the fewest sessions"
    nodes[1] = up("n2", 3, retired=True)
    assert rule.decide(nodes, 61) == Wishes(), "its session may end by itself"
    nodes[1] = up("n2", 4, retired=True)
    assert rule.decide(nodes, 62) == Wishes(leave=("n2",))


def test_the_while_begins_anew_when_the_node_was_needed_meanwhile() -> None:
    rule = Scaling(Limits(1, 3, spare=1, idle_s=60))
    assert rule.decide([up("n1", 4), up("n2", 4)], 0) == Wishes()
    assert rule.decide([up("n1", 0), up("n2", 3)], 30) == Wishes(), "without n2 there would be no place"
    assert rule.decide([up("n1", 4), up("n2", 4)], 59) == Wishes()
    assert rule.decide([up("n1", 4), up("n2", 4)], 118) == Wishes()
    assert rule.decide([up("n1", 4), up("n2", 4)], 119).retire == ("n1",)


def test_a_retired_node_is_recalled_before_another_is_started() -> None:
    rule = Scaling(Limits(1, 2, spare=1))
    assert rule.decide([up("n1", 0), up("n2", 3, retired=True)], 0) == Wishes(recall=("n2",))
    assert rule.decide([up("n1", 0), up("n2", 3)], 1) == Wishes()
    assert rule.decide([up("n1", 0), Seen("n2", False, retired=True)], 2) == Wishes(), "its place is not free yet"


def test_never_fewer_than_the_least_nor_more_than_the_most() -> None:
    """Any weather for a simulated hour: sessions come and go, nodes die and start."""
    chance = random.Random(7)
    for _ in range(50):
        limits = Limits(chance.randint(1, 3), chance.randint(3, 6), chance.randint(0, 5), chance.choice((0, 10, 300)))
        rule, nodes, count, sessions = Scaling(limits), {}, 0, {}
        for now in range(0, 3600, 5):
            wishes = rule.decide(list(nodes.values()), now)
            for _ in range(wishes.start):
                count += 1
                nodes[f"n{count}"] = Seen(f"n{count}", False)
                sessions[f"n{count}"] = 0
            assert len(nodes) <= limits.most
            for name in wishes.leave:
                assert sessions[name] == 0 or not nodes[name].up, "nobody loses a session"
                del nodes[name], sessions[name]
            flags = dict.fromkeys(wishes.retire, True) | dict.fromkeys(wishes.recall, False)
            for name, node in nodes.items():
                retired = flags.get(name, node.retired)
                alive = chance.random() > 0.01 if node.up else chance.random() < 0.5
                come = chance.randint(-1, 2 if now % 1800 < 900 else 0)
                sessions[name] = max(0, min(4, sessions[name] + (min(come, 0) if retired else come))) if alive else 0
                nodes[name] = Seen(name, alive, 4, 4 - sessions[name], retired)
            assert sum(not node.retired for node in nodes.values()) >= limits.least


def test_what_cannot_be_is_refused() -> None:
    for least, most in ((0, 1), (3, 2)):
        with pytest.raises(VivifyError, match="as many nodes as there may be"):
            Limits(least, most)
    with pytest.raises(VivifyError, match="0 or more"):
        Limits(1, 1, spare=-1)
