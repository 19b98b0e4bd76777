"""Hypothesis strategies of small random models and carts."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from mersalg.engine.model import Model
from tests.support.models import TinyItem, TinyRule, tiny_model

N_ORDERS = 1000


@st.composite
def models(draw: DrawFn) -> Model:
    """Up to 12 items in 4 families; rules, repulsion and compatibility of every kind."""
    ids = [f"i{number}" for number in range(draw(st.integers(1, 12)))]
    items: list[TinyItem] = []
    for item_id in ids:
        n_orders = draw(st.integers(0, N_ORDERS))
        price = draw(st.none() | st.integers(0, 3000))
        items.append(
            TinyItem(
                item_id,
                draw(st.sampled_from(["", "Name", "Ørepropper"])),
                None if price is None else f"{price / 10:.2f}",
                draw(st.sampled_from(["", "c"])),
                draw(st.sampled_from(["", "f0", "f1", "f2"])),
                {
                    "storage_gb": draw(st.sampled_from(["", "64", "128", "1 TB"])),
                    "features": draw(st.sampled_from(["", "a", "a; b", "b; c"])),
                },
                tuple(draw(st.sets(st.sampled_from(ids), max_size=2)))
                if draw(st.booleans())
                else (),
                draw(st.integers(0, 9)) > 0,
                n_orders,
                draw(st.integers(0, n_orders)),
            )
        )
    by_id = {item.item_id: item for item in items}
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(ids),
                st.frozensets(st.sampled_from(ids), min_size=1, max_size=3),
                st.integers(1, N_ORDERS),
            ),
            max_size=25,
            unique_by=lambda entry: entry[:2],
        )
    )
    rules = [rule for entry in drawn if (rule := _rule(by_id, *entry)) is not None]
    repelled = draw(
        st.dictionaries(
            st.sampled_from(ids),
            st.lists(st.sampled_from(ids), max_size=3, unique=True),
            max_size=4,
        )
    )
    return tiny_model(
        items=items,
        rules=rules,
        repelled=repelled,
        combining_families=draw(st.lists(st.sampled_from(["f0", "f1", "c"]), max_size=2)),
        n_orders=N_ORDERS,
        holdout=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )


def _rule(
    by_id: dict[str, TinyItem], consequent: str, antecedent: frozenset[str], n_joint: int
) -> TinyRule | None:
    """A rule with counts that can be: no more joint orders than either side has."""
    n_antecedent = min(by_id[item_id].n_orders for item_id in antecedent)
    n_joint = min(n_joint, n_antecedent, by_id[consequent].n_orders)
    if consequent in antecedent or not n_joint:
        return None
    return TinyRule(tuple(antecedent), consequent, n_joint, n_antecedent)


def carts(model: Model) -> st.SearchStrategy[list[str]]:
    """Known and unknown item ids, some of them twice."""
    known = list(model.catalogue.items.ids)
    return st.lists(st.sampled_from([*known, "nobody-knows"]), max_size=6)
