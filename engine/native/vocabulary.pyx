# Texts of a table, and finding the dense indices of external ids.

cdef uint32_t _CRC_STEPS[256]  # of CRC-32, by byte
cdef uint32_t _step
for _byte in range(256):
    _step = _byte
    for _ in range(8):
        _step = _step >> 1 ^ (0xEDB88320u if _step & 1 else 0)
    _CRC_STEPS[<int>_byte] = _step


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *length) except NULL
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t length, const char *errors)


cdef class NativeTexts:
    """Decodes the texts of a table; arrays as of `StringTable`."""

    cdef const uint8_t[::1] blob
    cdef const int64_t[::1] offsets

    def __init__(self, blob, offsets):
        self.blob, self.offsets = blob, offsets

    def __getitem__(self, int64_t index):
        """Return one text; raise IndexError where there is none."""
        if not 0 <= index < self.offsets.shape[0] - 1:
            raise IndexError(index)
        cdef int64_t begin = self.offsets[index], end = self.offsets[index + 1]
        if not 0 <= begin <= end <= self.blob.shape[0]:
            raise BrokenArrays("a text is outside of its table: the files of the model are damaged")
        return PyUnicode_DecodeUTF8(<const char *>&self.blob[begin], end - begin, "surrogatepass")


cdef class NativeFinding(NativeTexts):
    """Finds the dense indices of external ids by their check sums; arrays as of `Vocabulary`."""

    cdef const uint32_t[::1] sums
    cdef const int32_t[::1] places

    def __init__(self, blob, offsets, sums, places):
        NativeTexts.__init__(self, blob, offsets)
        self.sums, self.places = sums, places

    def indices_of(self, texts):
        """Return the dense index of each of several external ids, -1 where one is unknown."""
        cdef str text
        return [self.index_of(text) for text in texts]

    cdef int64_t index_of(self, str text) except -2:
        cdef Py_ssize_t length
        cdef const uint8_t *wanted
        cdef bytes encoded
        if text.isascii():
            wanted = <const uint8_t *>PyUnicode_AsUTF8AndSize(text, &length)
        else:
            encoded = text.encode("utf-8", "surrogatepass")
            wanted, length = encoded, len(encoded)
        cdef int64_t low, byte, begin, end
        cdef uint32_t check_sum = 0xFFFFFFFFu
        cdef int32_t place
        for byte in range(length):
            check_sum = _CRC_STEPS[(check_sum ^ wanted[byte]) & 255] ^ check_sum >> 8
        check_sum = ~check_sum
        low = first_of(&self.sums[0], 0, self.sums.shape[0], check_sum)
        while low < self.sums.shape[0] and self.sums[low] == check_sum:
            place = self.places[low] if low < self.places.shape[0] else -1
            if not 0 <= place < self.offsets.shape[0] - 1:
                raise BrokenArrays(_OUTSIDE)
            begin, end = self.offsets[place], self.offsets[place + 1]
            if not 0 <= begin <= end <= self.blob.shape[0]:
                raise BrokenArrays(_OUTSIDE)
            if end - begin == length and not memcmp(&self.blob[begin], wanted, length):
                return place
            low += 1
        return -1
