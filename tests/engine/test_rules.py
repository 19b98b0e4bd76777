"""The rule table: order, selection, and arrays there and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.arrays import Ragged, arrays_of, read
from mersalg.engine.cross_sell.rules import RuleTable

N_ITEMS = 6
Rule = tuple[tuple[int, ...], int, int]

RULES = st.lists(
    st.tuples(
        st.sets(st.integers(0, N_ITEMS - 1), min_size=1, max_size=3).map(
            lambda items: tuple(sorted(items))
        ),
        st.integers(0, N_ITEMS - 1),
    ),
    unique=True,
    max_size=20,
).map(lambda rules: [(*rule, number) for number, rule in enumerate(rules, 1)])


def table_of(rules: list[Rule]) -> RuleTable:
    numbers = np.array([number for _, _, number in rules], dtype=np.int64)
    return RuleTable(
        Ragged.of_rows([antecedent for antecedent, _, _ in rules], np.int32),
        np.array([consequent for _, consequent, _ in rules], dtype=np.int32),
        numbers,
        numbers + 10,
        numbers + 20,
        1_000,
    )


def rules_of(table: RuleTable) -> list[Rule]:
    return [
        (
            tuple(table.antecedents[rule].tolist()),
            int(table.consequent[rule]),
            int(table.n_joint[rule]),
        )
        for rule in range(len(table))
    ]


@given(RULES)
def test_the_canonical_order_is_length_then_items_then_consequent(rules: list[Rule]) -> None:
    ordered = rules_of(table_of(rules).sorted())
    assert ordered == sorted(rules, key=lambda rule: (len(rule[0]), rule[0], rule[1]))


@given(RULES, st.randoms())
def test_two_engines_that_find_the_same_rules_give_equal_arrays(
    rules: list[Rule], random: object
) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    left, right = arrays_of(table_of(rules).sorted()), arrays_of(table_of(shuffled).sorted())
    for name in left:
        np.testing.assert_array_equal(left[name], right[name])


@given(RULES, st.data())
def test_take_keeps_whole_rules(rules: list[Rule], data: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(rules) - 1)) if rules else st.just([])
    chosen = data.draw(places)
    taken = table_of(rules).take(np.array(chosen, dtype=np.int64))
    assert rules_of(taken) == [rules[place] for place in chosen]
    assert taken.n_antecedent.tolist() == [rules[place][2] + 10 for place in chosen]
    assert taken.n_orders == 1_000


@given(RULES)
def test_arrays_lead_there_and_back(rules: list[Rule]) -> None:
    table = table_of(rules)
    again = read(RuleTable, arrays_of(table))
    assert rules_of(again) == rules
    assert again.n_orders == table.n_orders


def test_the_empty_table() -> None:
    table = RuleTable.empty(7)
    assert (len(table), table.n_orders, len(table.sorted())) == (0, 7, 0)
    assert table.lift_lower().shape == (0,)
