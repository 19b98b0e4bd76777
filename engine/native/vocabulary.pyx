# Finding the dense indices of external ids.

cdef class NativeFinding:
    """Finds the dense indices of many external ids; arrays as those of `Vocabulary`."""

    cdef Vocabulary known
    cdef list held

    def __init__(self, blob, offsets, sums, places):
        self.held = held = []
        self.known = Vocabulary(
            min(len(offsets) - 1, len(sums), len(places)), len(blob),
            <const uint8_t *>address(held, blob, np.uint8),
            <const int64_t *>address(held, offsets, np.int64),
            <const uint32_t *>address(held, sums, np.uint32),
            <const int32_t *>address(held, places, np.int32),
        )

    def find(self, texts):
        """Return -1 where an id is unknown; None where one spans lines, which cannot be distinguished."""
        cdef bytes asked = "\n".join(texts).encode("utf-8", "surrogatepass")
        cdef int64_t n = len(texts)
        if asked.count(b"\n") != n - 1:
            return None
        places = np.empty(n, dtype=np.int32)
        cdef int32_t[::1] found = places
        counted(
            mersalg_find(&self.known, <const uint8_t *><char *>asked, len(asked), n, &found[0])
        )
        return places.tolist()
