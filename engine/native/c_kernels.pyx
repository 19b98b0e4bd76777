# What `serving.pyx` calls of the C kernels, as `shared.h` describes it.

cdef extern from "shared.h":
    enum:
        MOST_LAYERS
        WIDEST
        LANES
    ctypedef struct Workspace:
        pass
    ctypedef struct RowsOfMatrix "Rows":
        int64_t n_rows, n_entries
        const int64_t *indptr
        const int32_t *columns
    ctypedef struct Network:
        int64_t n_layers, n_features
        const float *mean
        const float *scale
        int64_t width[8]
        const float *weights[8]
        const float *biases[8]
        const int32_t *spans[8]
        double slope, intercept
    ctypedef struct Filed:
        RowsOfMatrix rules
        const float *strength
        const int32_t *position
        const int32_t *rest
        int64_t width
    ctypedef struct RankedItem:
        pass
    ctypedef struct Ranking:
        RowsOfMatrix near, groups, leaders
        const float *near_weight
        const int32_t *near_joint
        const float *group_weight
        const float *n_orders
        const RankedItem *items
        const int32_t *popular
        int64_t n_popular
        float n_orders_all
    ctypedef struct Shop:
        const Ranking *ranking
        const Filed *single
        const Filed *several
        RowsOfMatrix repelled, contrary
        int64_t n_items
        const int32_t *category
        const int32_t *family
        const int64_t *price
        double others
    ctypedef struct Call:
        const int32_t *cart
        int64_t n_cart
        const int32_t *past_item
        const float *past_age
        const int64_t *past_order
        int64_t n_past, discovery
        const uint8_t *marks
        const int32_t *blocked
        int64_t n_blocked
        double dearest
        int64_t most, gives_way, limit
    ctypedef struct Chosen:
        pass
    ctypedef struct LadderItem:
        pass
    ctypedef struct Upgrades:
        const LadderItem *items
        RowsOfMatrix moved
        const float *times
    ctypedef struct Ladders:
        RowsOfMatrix members
        int64_t n_items
        const int32_t *family
        const int16_t *tier
        const int64_t *price
        const int64_t *cost
        const int64_t *bought
        double least_ratio, most_ratio, offer_slope, offer_intercept
    ctypedef struct Models:
        const Upgrades *upgrades
        const Network *whether
        const Network *which
    ctypedef struct Base:
        int64_t item, paid
        double quantity
    ctypedef struct Sibling:
        pass
    ctypedef struct Vocabulary:
        int64_t n, n_bytes
        const uint8_t *blob
        const int64_t *offsets
        const uint32_t *sums
        const int32_t *places
    Workspace *mersalg_open()
    int64_t mersalg_fire(
        Workspace *, const Filed *, const Filed *, const int32_t *, int64_t, double, int32_t **,
        double **
    )
    int64_t mersalg_strongest(
        const Filed *, const Filed *, const int32_t *, int64_t, const int32_t *, int64_t, int32_t *
    )
    int64_t mersalg_highest(const double *, int64_t, int64_t, int64_t *)
    int64_t mersalg_rank(
        Workspace *, const Ranking *, const Network *, const int32_t *, int64_t, const int32_t *,
        const float *, const int64_t *, int64_t, int, int32_t **, double **
    )
    int64_t mersalg_pairs(
        const Ranking *, const int32_t *, int64_t, const int32_t *, int64_t, int32_t *, int32_t *
    )
    int64_t mersalg_complements(
        Workspace *, const Shop *, const Network *, const Call *, Chosen **
    )
    int64_t mersalg_upgrades(
        Workspace *, const Upgrades *, const Network *, const Network *, const int32_t *,
        const float *, int64_t, const int32_t *, const int64_t *, int64_t, const int32_t *,
        const float *, int64_t, double **
    )
    int64_t mersalg_siblings(
        Workspace *, const Ladders *, const Models *, const int32_t *, const float *, int64_t,
        const Base *, int64_t, const uint8_t *, int64_t, Sibling **
    )
    int64_t mersalg_find(const Vocabulary *, const uint8_t *, int64_t, int64_t, int32_t *)
