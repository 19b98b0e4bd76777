# Networks: standardise, rectified layers, one output.
#
# Widths are multiples of LANES, what is beyond the true width is zero; the features are as many as
# they are.

cdef extern from "lanes.h" nogil:
    void add_rows "add_weights"(
        int64_t n, const int32_t *row, const float *value, const float *weights, int64_t width,
        float *out
    )
    void standardise(
        int64_t n, const int32_t *column, const float *signals, const float *mean,
        const float *scale, const float *counted, float *value
    )
    void next_layer(
        int64_t n, float *layer, int64_t n_in, const float *weights, const float *bias,
        const int32_t *spans, int64_t width, float *out
    )
    void last_layer(
        int64_t n, const float *layer, int64_t n_in, const float *weights, float bias, float *out
    )


cdef enum:
    AT_ONCE = 8  # rows of signals
    MAX_SIGNALS = 64


cdef int32_t EVERY[MAX_SIGNALS]
for _place in range(MAX_SIGNALS):
    EVERY[<int>_place] = _place


cdef inline bint network_fits(const Network *network, int n_features) noexcept nogil:
    """Return whether `fill_network` filled it, of so many features."""
    return network.n_layers > 0 and network.n_features == n_features <= MAX_SIGNALS


cdef void network_outputs(
    const Network *network, int64_t n, float *first, float *spare, float *outputs
) noexcept nogil:
    """Write the outputs of `n` rows from their sums of the first layer, which are overwritten.

    `spare` has room for 2 * n * WIDEST numbers.
    """
    cdef float *layer = first
    cdef float *out = spare
    cdef int64_t place, width = network.width[0], last = network.n_layers - 1
    for place in range(1, last):
        next_layer(
            n, layer, width, network.weights[place], network.biases[place], network.spans[place],
            network.width[place], out,
        )
        width, layer = network.width[place], out
        out = spare + n * WIDEST if out == spare else spare
    if last:
        last_layer(n, layer, width, network.weights[last], network.biases[last][0], outputs)
    else:
        for place in range(n):
            outputs[place] = layer[place * width]


cdef void weigh_signals(
    const Network *network, const float *f, int64_t n, float *memory, float *out
) noexcept nogil:
    """Write the raw output for each of `n` rows of signals.

    `memory` has room for 3 * AT_ONCE * WIDEST numbers.
    """
    cdef float value[MAX_SIGNALS]
    cdef int64_t row, many, first = 0, width = network.width[0]
    cdef int64_t n_signals = network.n_features
    while first < n:
        many = min(n - first, <int64_t>AT_ONCE)
        for row in range(many):
            standardise(
                n_signals, EVERY, f + (first + row) * n_signals, network.mean, network.scale, NULL,
                value,
            )
            memcpy(memory + row * width, network.biases[0], width * sizeof(float))
            add_rows(n_signals, EVERY, value, network.weights[0], width, memory + row * width)
        network_outputs(network, many, memory, memory + AT_ONCE * WIDEST, out + first)
        first += many


cdef double likelihood_of(const Network *network, float raw) noexcept nogil:
    """Return the calibrated probability of an output."""
    return 1 / (1 + exp(-min(max(network.slope * raw + network.intercept, -30.0), 30.0)))


cdef int fill_network(Network *network, list held, scorer) except -1:
    """Describe a `Scorer` to the kernels: layers as wide as a multiple of LANES.

    Raises BrokenArrays where its arrays do not fit each other, or are too many or too wide.
    """
    widths = [len(scorer.mean), *map(len, scorer.biases)]
    n_layers = len(scorer.weights)
    if (
        not 0 < n_layers <= MAX_LAYERS
        or [weights.shape for weights in scorer.weights] != list(pairwise(widths))
        or len(scorer.scale) != widths[0]
        or widths[n_layers] != 1  # the directives of this module allow no index below 0
        or max(widths) > WIDEST
    ):
        raise BrokenArrays("the layers of a network do not fit each other, or are too large")
    network.n_layers, network.n_features = n_layers, widths[0]
    network.mean = <const float *>address(held, scorer.mean, np.float32)
    network.scale = <const float *>address(held, 1 / scorer.scale, np.float32)
    network.slope, network.intercept = scorer.slope, scorer.intercept
    n_in = widths[0]
    for place, (weights, bias) in enumerate(zip(scorer.weights, scorer.biases)):
        width = (len(bias) + LANES - 1) // LANES * LANES
        wide = np.zeros((n_in, width), dtype=np.float32)
        wide[: weights.shape[0], : weights.shape[1]] = weights
        shift = np.zeros(width, dtype=np.float32)
        shift[: len(bias)] = bias
        if 0 < place == n_layers - 1:
            wide = wide[:, :1]
        network.width[<int>place] = width
        network.weights[<int>place] = <const float *>address(held, wide, np.float32)
        network.spans[<int>place] = <const int32_t *>address(held, spans(wide), np.int32)
        network.biases[<int>place] = <const float *>address(held, shift, np.float32)
        n_in = width
    return 0


def spans(weights):
    """Return, for each LANES columns, the first row with a weight and one beyond the last.

    Networks side by side are one whose weights are blocks on the diagonal.
    """
    found = np.zeros(((weights.shape[1] + LANES - 1) // LANES, 2), dtype=np.int32)
    for block in range(len(found)):
        part = weights[:, block * LANES : (block + 1) * LANES]
        used = np.flatnonzero(np.abs(part).max(axis=1, initial=0))
        if len(used):
            found[block] = used.min(), used.max() + 1
    return found
