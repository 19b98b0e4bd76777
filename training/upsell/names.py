"""Compare the names of items, apart from size or grade: which are alike, and of one kind."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float64s, Int64s, Ragged
from mersalg.engine.words import read_toml
from mersalg.training.keyed import rank_by_key

MIN_SIMILARITY = 0.3
"""Names less alike than this are never compared further."""
MAX_OCCURRENCES = 150
"""Among very many names, a word or piece of a word that is in more of them finds no pairs."""
FEW = 2_000
"""Up to so many names every word and every piece finds pairs."""
CHUNK = 2_048
NEIGHBOURS = 30

_NUMBER = r"\d+(?:[.,]\d+)*"
_UNIT = (
    r"(?:ml|cl|dl|l|lt|ltr|litre|liter|g|gm|gr|kg|mg|oz|fl\.? ?oz|lb|lbs|pk|pack|ct|count|stk|pcs|"
    r"pc|gb|tb|mb|cm|mm|inch|in|gal|qt|pt|timer|hours|hrs|h|min)"
)
_ARTICLE = re.compile(r"\b(?:no|nr|art|sku|#)[. :]*\d{3,}\b|\b\d{5,}\b")
"""Article numbers: every item has another, which says nothing of what it is."""
# Numbers without a unit match too, and stay: a chain of them is read once, not from each number on.
_MEASURE = re.compile(
    rf"(?<!\d){_NUMBER}(?:\s*[x*/]\s*{_NUMBER})*(?P<unit>\s*{_UNIT}\b)?"
    r"|\b(?:pack|set|box|case)\s*(?P<of>(?:of|/)\s*\d+)"
)
_WORDS = read_toml("mersalg.training")["names"]
_GRADES = frozenset(read_toml("mersalg.engine")["traits"]["grades"].split())
_SAY_NOTHING = frozenset(_WORDS["say_nothing"].split())
ENOUGH = 5
"""Names with a word, before their prices say whether it names a kind."""
WIDE = 0.75
"""Spread of log price, beside that of the whole catalogue, from which a word is no kind."""


def stem_of(name: str) -> str:
    """Return a name without its size or grade: `Latte, large` and `Latte 0,4 l` are `latte`.

    Sizes and grades are taken from the ends and out of brackets only (`medium roast coffee` is no
    medium one); a name of nothing else stays as it is.
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    bare = _MEASURE.sub(
        lambda found: " " if found["unit"] or found["of"] else found[0], _ARTICLE.sub(" ", plain)
    )
    words = re.findall(r"[^\W_]+", bare)
    start, end = 0, len(words)
    while end > start and words[end - 1] in _GRADES:
        end -= 1
    while start < end and words[start] in _GRADES:
        start += 1
    return " ".join(words[start:end]) or " ".join(re.findall(r"[^\W_]+", plain))


def words_of(stem: str) -> list[str]:
    """Words of a stem that say something, in their order."""
    return [word for word in stem.split() if word not in _SAY_NOTHING]


def vectors_of(stems: Sequence[str]) -> Any:
    """Return sparse rows of length 1, shape (n, features), whose products are similarities.

    A product is the mean of two cosines of TF-IDF: over words, and over pieces of three to five
    letters.
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    views: tuple[dict[str, Any], ...] = (
        {"tokenizer": str.split, "token_pattern": None, "dtype": np.float32},
        {"analyzer": "char_wb", "ngram_range": (3, 4), "dtype": np.float32},
    )
    parts = [TfidfVectorizer(**view).fit_transform(stems) for view in views]
    return (hstack(parts, format="csr") * np.float32(np.sqrt(0.5))).tocsr()


def similar_pairs(vectors: Any, groups: Int64s) -> tuple[Int64s, Float64s]:
    """Pairs (i < j) of one group whose names are alike, and how much; shapes (n, 2) and (n,).

    Each name keeps its nearest neighbours only. Of groups with very many names, common words and
    pieces find no pairs, though they count in how alike the pairs are.
    """
    _, group = np.unique(groups, return_inverse=True)
    by_group = Ragged.grouped(group, np.arange(len(groups)), 0)
    members = [by_group[index] for index in np.flatnonzero(by_group.lengths > 1).tolist()]
    pairs = [rows[_near(vectors[rows])] for rows in members]
    pairs_of_names = np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs])
    pairs_of_names = np.unique(np.sort(pairs_of_names, axis=1), axis=0)
    alike = np.zeros(len(pairs_of_names))
    for start in range(0, len(pairs_of_names), 64 * CHUNK):
        part = pairs_of_names[start : start + 64 * CHUNK]
        product = vectors[part[:, 0]].multiply(vectors[part[:, 1]])
        alike[start : start + len(part)] = np.asarray(product.sum(axis=1)).ravel()
    is_similar = alike >= MIN_SIMILARITY
    return pairs_of_names[is_similar], np.minimum(alike[is_similar], 1.0)


def _near(vectors: Any) -> Int64s:
    """Pairs of rows that may be alike, (n, 2), in both senses or one."""
    finding = vectors
    if vectors.shape[0] > FEW:
        common = np.bincount(vectors.indices, minlength=vectors.shape[1]) > MAX_OCCURRENCES
        finding = vectors[:, np.flatnonzero(~common)]
    transposed = finding.T.tocsr()
    parts: list[Int64s] = []
    # What common words would add is not known here, so many names are let by more easily.
    least = MIN_SIMILARITY if finding is vectors else MIN_SIMILARITY / 2
    for start in range(0, vectors.shape[0], CHUNK):
        near = (finding[start : start + CHUNK] @ transposed).tocoo()
        left, right, alike = near.row.astype(np.int64) + start, near.col, near.data
        is_similar = (alike >= least) & (left != right)
        left, right, alike = left[is_similar], right[is_similar].astype(np.int64), alike[is_similar]
        nearest = rank_by_key(left, -alike, right) < NEIGHBOURS
        parts.append(np.column_stack([left[nearest], right[nearest]]))
    return np.concatenate(parts)


def design_words(stems: Sequence[str], price_minor: NDArray[np.floating]) -> frozenset[str]:
    """Return the words whose names cost nearly as differently as any.

    `price_minor`: float64 (n,), the usual price of each stem, NaN where none is known.
    """
    log_prices = np.log(price_minor[price_minor > 0])
    spread = float(log_prices.std()) if len(log_prices) else 0.0
    if spread <= 0:
        return frozenset()
    prices: dict[str, list[float]] = {}
    for stem, price in zip(stems, price_minor.tolist(), strict=True):
        if price > 0:
            for word in {*words_of(stem)}:
                prices.setdefault(word, []).append(price)
    return frozenset(
        word
        for word, prices_of_word in prices.items()
        if len(prices_of_word) >= ENOUGH and float(np.log(prices_of_word).std()) >= WIDE * spread
    )


def share_a_kind(stems: Sequence[str], pairs: Int64s, designs: frozenset[str]) -> Bools:
    """Bool (n_pairs,): whether two names share a word that is more than a design.

    Names that share no whole word (`pannekake`, `pannekaker`) are judged by their letters by_group.
    """
    words = [{*words_of(stem)} for stem in stems]
    answers = [
        not (shared := words[left] & words[right]) or not shared <= designs
        for left, right in pairs.tolist()
    ]
    return np.array(answers, dtype=np.bool_)
