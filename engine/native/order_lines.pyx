# From text to labels, and from (order, item) pairs to baskets of ascending, distinct items.


def file_pairs(
    const int32_t[::1] orders, const int32_t[::1] items, int64_t first_order, int64_t n_items,
    int32_t[::1] rows, int64_t[::1] sizes,
):
    """File pairs by order; an item repeated in an order counts once.

    Nothing is compared: the pairs are dealt out to their items, and then the items, in ascending
    order, to their orders.

    orders: int32 (n,), in first_order..first_order + n_orders - 1.
    items: int32 (n,), in 0..n_items - 1.
    rows: int32 (n,), the items of the orders one behind the other; written.
    sizes: int64 (n_orders,), zeros; items in each order.

    Returns how many entries of `rows` were written.
    """
    cdef int64_t n_pairs = orders.shape[0], n_orders = sizes.shape[0]
    cdef int64_t pair, item, slot, order, place, filled = 0
    cdef int64_t[::1] fill = np.zeros(n_items + 2, dtype=np.int64)
    cdef int64_t[::1] start = np.zeros(n_orders + 1, dtype=np.int64)
    cdef int64_t[::1] stop = np.zeros(n_orders + 1, dtype=np.int64)
    cdef int32_t[::1] orders_by_item = np.empty(n_pairs, dtype=np.int32)
    with nogil:
        for pair in range(n_pairs):
            fill[items[pair] + 2] += 1
            sizes[orders[pair] - first_order] += 1
        for item in range(n_items):
            fill[item + 2] += fill[item + 1]
        # Two places ahead, so that filling moves each beginning to where it belongs.
        for pair in range(n_pairs):
            slot = fill[items[pair] + 1]
            orders_by_item[slot] = <int32_t>(orders[pair] - first_order)
            fill[items[pair] + 1] = slot + 1
        for order in range(n_orders):
            start[order + 1] = start[order] + sizes[order]
            stop[order + 1] = start[order + 1]
        for item in range(n_items):
            for slot in range(fill[item], fill[item + 1]):
                order = orders_by_item[slot]
                place = stop[order]
                if place == start[order] or rows[place - 1] != item:
                    rows[place] = <int32_t>item
                    stop[order] = place + 1
        for order in range(n_orders):
            sizes[order] = stop[order] - start[order]
            if filled == start[order]:
                filled = stop[order]
                continue
            for place in range(start[order], stop[order]):
                rows[filled] = rows[place]
                filled += 1
    return filled


def spaced_labels(
    const uint8_t[::1] text, uint8_t[::1] labels, int64_t[::1] ends, int64_t[::1] lines
):
    """Cut text into labels at ASCII white space; only a line feed ends a line.

    text: uint8 (n,).
    labels: uint8 (n,), the bytes of the labels one behind the other; written.
    ends, lines: int64 (n // 2 + 1,), where each label ends in `labels` and its line; written.

    Returns how many labels there are.
    """
    cdef int64_t place, n_labels = 0, filled = 0, line = 0, begin = 0
    cdef uint8_t byte
    with nogil:
        for place in range(text.shape[0]):
            byte = text[place]
            if byte == c" " or 9 <= byte <= 13 or 28 <= byte <= 31:
                if filled > begin:
                    ends[n_labels] = filled
                    lines[n_labels] = line
                    n_labels += 1
                    begin = filled
                line += byte == c"\n"
            else:
                labels[filled] = byte
                filled += 1
        if filled > begin:
            ends[n_labels] = filled
            lines[n_labels] = line
            n_labels += 1
    return n_labels


def separated_labels(
    const uint8_t[::1] text, uint8_t separator, uint8_t[::1] labels, int64_t[::1] ends,
    int64_t[::1] lines,
):
    """Cut text into labels at `separator`, quoted by the rules of CSV; empty ones are left out.

    Arguments as those of `spaced_labels`. Line feeds and carriage returns end lines.

    Returns how many labels there are; -1 where the quotes do not follow the rules.
    """
    cdef int64_t n_labels = 0, filled = 0, line = 0, place = 0, begin, size = text.shape[0]
    cdef uint8_t byte
    with nogil:
        while place < size:
            begin = filled
            if text[place] == c'"':
                place += 1
                while True:
                    if place == size:
                        n_labels = -1
                        break
                    if text[place] == c'"':
                        place += 1
                        if place == size or text[place] != c'"':
                            break
                    labels[filled] = text[place]
                    filled += 1
                    place += 1
                if n_labels < 0:
                    break
                if place < size:
                    byte = text[place]
                    if byte != separator and byte != c"\n" and byte != c"\r":
                        n_labels = -1
                        break
            while place < size:
                byte = text[place]
                if byte == separator or byte == c"\n" or byte == c"\r":
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
