from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.cross_sell.rules import RuleIndex, RuleTable
from mersalg.engine.facts import Mode
from mersalg.engine.ranking.purchases import Carts, Past
from mersalg.engine.ranking.ranking import Ranking
from mersalg.engine.upsell.likelihood import Likelihood, PackedUpgrades
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable

_Bytes = NDArray[np.uint8]
_Codes = NDArray[np.int32]
_Labels = NDArray[np.uint32]
_Integers = NDArray[np.int64]
_Singles = NDArray[np.float32]
_Floats = NDArray[np.float64]
_Evidence = tuple[tuple[int, ...], int, int, float, float, float]

SQUARE_LIMIT: int

class FoundSets:
    @property
    def max_length(self) -> int: ...
    def n_sets(self, length: int) -> int: ...
    def move(self, length: int, items: _Codes, counts: _Integers) -> None: ...

class Rows:
    def __init__(
        self,
        labels: _Labels,
        first: _Integers,
        position: _Labels,
        row_end: _Labels,
        held: _Bytes,
        names: _Codes,
    ) -> None: ...
    @property
    def n_long(self) -> int: ...
    def sets(self, low: int, high: int, min_count: int, max_length: int) -> FoundSets: ...
    def count_sets(
        self, low: int, high: int, min_count: int, max_length: int, sets_of_count: _Integers
    ) -> None: ...
    def add_entries(
        self, low: int, high: int, sets: _Codes, first: _Integers, entries: _Integers
    ) -> None: ...

def count_items(items: _Codes, low: int, high: int, n_of_item: _Codes) -> None: ...
def file_block(
    indptr: _Integers,
    items: _Codes,
    label_of: _Codes,
    low: int,
    high: int,
    fill: _Integers,
    start: int,
    labels: _Labels,
    position: _Labels,
    row_end: _Labels,
    work: _Integers,
    with_sizes: bool,
) -> None: ...
def sort_sets(sets: _Codes, n_values: int, order: _Integers, spare: _Integers) -> None: ...
def first_children(rows: _Codes, shorter: _Codes, first: _Integers) -> bool: ...
def step_down(
    parents: _Integers, items: _Codes, first: _Integers, rows: _Codes, found: _Integers
) -> bool: ...
def drop_each(
    rows: _Codes,
    first: _Integers,
    above: _Integers,
    shorter_first: _Integers,
    shorter: _Codes,
    parts: _Integers,
) -> bool: ...
def write_rules(
    rows: _Codes,
    parts: _Integers,
    counts: _Integers,
    shorter: _Codes,
    shorter_counts: _Integers,
    n_of_item: _Integers,
    fill: _Integers,
    antecedent_items: _Codes,
    consequent: _Codes,
    n_joint: _Integers,
    n_antecedent: _Integers,
    n_consequent: _Integers,
) -> None: ...
def orders_by_item(
    indptr: _Integers, items: _Codes, first: _Integers, orders: _Integers
) -> None: ...
def tally_items(
    first: _Integers, orders: _Integers, items: _Codes, part: _Integers, n_held: _Integers
) -> None: ...
def tally(
    indptr: _Integers,
    items: _Codes,
    first: _Integers,
    orders: _Integers,
    antecedents: _Codes,
    bounds: _Integers,
    consequents: _Codes,
    part: _Integers,
    weight: _Integers,
    slot: _Integers,
    n_antecedent: _Integers,
    n_joint: _Integers,
) -> None: ...
def poisson_tails(
    low: int, high: int, at_least: _Integers, expected: _Floats, tails: _Floats
) -> None: ...
def upper_tails(
    low: int,
    high: int,
    at_least: _Integers,
    total: _Integers,
    marked: _Integers,
    drawn: _Integers,
    tails: _Floats,
) -> None: ...
def file_pairs(
    orders: _Codes,
    items: _Codes,
    first_order: int,
    n_items: int,
    rows: _Codes,
    sizes: _Integers,
) -> int: ...
def spaced_labels(text: _Bytes, labels: _Bytes, ends: _Integers, lines: _Integers) -> int: ...
def separated_labels(
    text: _Bytes, separator: int, labels: _Bytes, ends: _Integers, lines: _Integers
) -> int: ...
def regressions(
    targets: _Integers,
    indptr: _Integers,
    items: _Codes,
    values: _Singles,
    diagonal: _Singles,
    ridge: float,
    near: _Codes,
    gram: _Singles,
    right: _Singles,
) -> None: ...
def best_cuts(values: _Floats, starts: _Integers, left: _Floats) -> None: ...
def agreement(
    moved: _Floats,
    order: _Integers,
    starts: _Integers,
    trial: _Integers,
    kept: _Floats,
) -> None: ...

class BrokenArrays(ValueError): ...

def bought_before(
    customers: _Integers,
    ordered_at: _Integers,
    orders: _Integers,
    n_items: int,
    customer: int,
    now: int,
    until: int,
    most: int,
    micros_per_day: float,
) -> tuple[int, _Singles, _Integers]: ...
def mark(marks: _Bytes, items: _Codes, reason: int) -> None: ...
def restore(marks: _Bytes, others: _Bytes, changed: list[_Codes]) -> None: ...
def highest(scores: _Floats, limit: int) -> _Integers: ...

class NativeTexts:
    def __init__(self, blob: _Bytes, offsets: _Integers) -> None: ...
    def __getitem__(self, index: int) -> str: ...

class NativeFinding(NativeTexts):
    def __init__(
        self, blob: _Bytes, offsets: _Integers, sums: NDArray[np.uint32], places: _Codes
    ) -> None: ...
    def indices_of(self, texts: Sequence[str]) -> list[int]: ...

class NativeRules:
    def __init__(
        self,
        table: RuleTable,
        single: RuleIndex,
        several: RuleIndex,
        repelled: Ragged[np.int32],
        contrary: Ragged[np.int32],
        others: float,
    ) -> None: ...
    @property
    def others(self) -> float: ...
    def fire(self, cart: _Codes) -> tuple[_Codes, _Floats]: ...
    def evidence(self, cart: _Codes, item: int) -> _Evidence | None: ...
    def near(self, cart: _Codes, items: _Codes, spared: _Codes) -> NDArray[np.bool_] | None: ...

class NativeRanking:
    def __init__(self, ranking: Ranking, packed: _Singles) -> None: ...
    @property
    def most(self) -> int: ...
    def rank(self, cart: _Codes, past: Past, mode: Mode) -> tuple[_Codes, _Floats]: ...
    def rank_carts(
        self, carts: Carts, past: Past, mode: Mode
    ) -> tuple[_Integers, _Codes, _Floats]: ...
    def signals(
        self,
        carts: Carts,
        past: Past,
        mode: Mode,
        hidden: _Codes,
        n_others: float,
        draws: _Floats,
    ) -> tuple[_Integers, _Codes, _Singles]: ...
    def pair(self, cart: _Codes, item: int) -> _Evidence | None: ...

class NativeEligibility:
    def __init__(
        self, category: _Codes, substitutes: _Codes, sensitive: _Codes, price_minor: _Integers
    ) -> None: ...
    def held(self, cart: _Codes, marks: _Bytes, reason: int) -> tuple[_Codes, int]: ...
    def reasons(
        self, items: _Codes, marks: _Bytes, families: _Codes, dearest: float, sensitive: int
    ) -> _Bytes: ...
    def choose(
        self,
        items: _Codes,
        scores: _Floats,
        marks: _Bytes,
        families: _Codes,
        dearest: float,
        sensitive: int,
        taken: list[int],
        most: int,
        gives_way: bool,
        limit: int,
    ) -> list[tuple[int, float]]: ...

class _History(Protocol):
    @property
    def items(self) -> Ragged[np.int32]: ...
    @property
    def age(self) -> _Singles: ...
    @property
    def n_entries(self) -> _Singles: ...
    @property
    def level(self) -> _Singles: ...
    @property
    def since(self) -> _Singles: ...

class _Questions(Protocol):
    @property
    def base(self) -> _Codes: ...
    @property
    def indptr(self) -> _Integers: ...
    @property
    def sibling(self) -> _Codes: ...
    @property
    def ratio(self) -> _Singles: ...

def upgrade_signals(
    items: _Singles,
    moved: Ragged[np.int32],
    moments: Ragged[np.int64],
    history: _History,
    questions: _Questions,
    bases: _Singles,
    rows: _Singles,
    seconds: _Integers,
) -> tuple[_Singles, _Singles]: ...

class NativeUpgrades:
    def __init__(
        self,
        ladders: Ladders,
        catalogue: Catalogue,
        n_orders_of_item: _Integers,
        given: Ragged[np.int32],
        ratios: tuple[float, float],
        likelihood: Likelihood | None = None,
        packed: PackedUpgrades | None = None,
        amounts: Sequence[tuple[StringTable, bool]] = (),
        each_loss: float = 1,
    ) -> None: ...
    def find(
        self, past: Past, bases: Sequence[tuple[int, int, float]], marks: _Bytes, most: int
    ) -> Iterator[tuple[int, int, int, int, float, float]]: ...
