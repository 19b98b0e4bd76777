"""Compiled: cuts text into labels, one basket a line."""

from __future__ import annotations

import numpy as np

from training.mining.compiled import compiled

_SPACE, _NEWLINE, _RETURN, _QUOTE = 32, 10, 13, 34


@compiled
def spaced_labels(text, labels, ends, lines):
    """Labels parted by ASCII white space; only a line feed ends a line.

    Args:
        text: uint8 (n,).
        labels: uint8 (n,), the bytes of the labels one behind the other; written.
        ends, lines: int64 (n // 2 + 1,), where each label ends in `labels` and the line it stands
            in; written.

    Returns:
        How many labels there are.
    """
    n_labels = 0
    filled = 0
    line = 0
    begin = 0
    for place in range(len(text)):
        byte = text[place]
        if byte == _SPACE or 9 <= byte <= 13 or 28 <= byte <= 31:
            if filled > begin:
                ends[n_labels] = filled
                lines[n_labels] = line
                n_labels += 1
                begin = filled
            if byte == _NEWLINE:
                line += 1
        else:
            labels[filled] = byte
            filled += 1
    if filled > begin:
        ends[n_labels] = filled
        lines[n_labels] = line
        n_labels += 1
    return n_labels


@compiled
def separated_labels(text, separator, labels, ends, lines):
    """Labels parted by `separator`, quoted by the rules of CSV; empty ones are left out.

    Arguments as those of `spaced_labels`. Line feeds and carriage returns end lines.

    Returns:
        How many labels there are; -1 where the quotes do not follow the rules.
    """
    n_labels = 0
    filled = 0
    line = 0
    place = 0
    size = len(text)
    while place < size:
        begin = filled
        if text[place] == _QUOTE:
            place += 1
            while True:
                if place == size:
                    return -1
                if text[place] == _QUOTE:
                    place += 1
                    if place == size or text[place] != _QUOTE:
                        break
                labels[filled] = text[place]
                filled += 1
                place += 1
            if place < size and not (
                text[place] == separator or text[place] == _NEWLINE or text[place] == _RETURN
            ):
                return -1
        while place < size:
            byte = text[place]
            if byte in (separator, _NEWLINE, _RETURN):
                break
            labels[filled] = byte
            filled += 1
            place += 1
        if filled > begin:
            ends[n_labels] = filled
            lines[n_labels] = line
            n_labels += 1
        if place < size:
            line += text[place] != separator
            place += 1
    return n_labels


@compiled
def dense_lines(lines, kept, orders):
    """Number the lines that hold a kept label from 0 on; returns how many lines do.

    Args:
        lines: int64 (n,), ascending.
        kept: bool (n,).
        orders: int64 (n,), the answer where `kept`.
    """
    n_orders = 0
    last = np.int64(-1)
    for place in range(len(lines)):
        if kept[place]:
            if lines[place] != last:
                last = lines[place]
                n_orders += 1
            orders[place] = n_orders - 1
    return n_orders
