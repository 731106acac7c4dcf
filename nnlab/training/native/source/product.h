// Products of matrices in registers: C = S + A B, where B and C lie in panels.
//
// A panel holds the columns of a matrix by 2 vectors (the last one may have 1): its rows lie one after another, so that
// a product reads and writes memory in order. Numbers beyond a matrix' last column are padding, which is read and
// written as the rest; whoever makes a matrix makes its padding zero.
#pragma once
#include "vectors.h"

template <class T> constexpr int PANEL = 2 * W<T>;  // columns of a full panel
constexpr int64_t LINE = 64;                        // bytes that a cache holds together

// R rows and V vectors of C, which starts from S; element (i, p) of A is A[i * row + p * column]. Where FETCH, the
// second-level cache meanwhile gets R rows `ahead` as long as those of A, line by line, as fast as these are read.
template <class T, int R, int V, bool FETCH = false>
static inline void block(int64_t k, const T* A, int64_t row, int64_t column, const T* B, int64_t ldb, const T* S,
                         int64_t lds, T* C, int64_t ldc, const T* const* ahead = nullptr) {
    Vec<T> c[R][V];
    for (int i = 0; i < R; i++)
        for (int j = 0; j < V; j++) c[i][j] = S ? load(S + i * lds + W<T> * j) : Vec<T>{};
    for (int64_t p = 0; p < k;) {
        if (FETCH)
            for (int i = 0; i < R; i++) __builtin_prefetch(ahead[i] + p, 0, 2);
        for (const int64_t end = FETCH ? least(p + LINE / sizeof(T), k) : k; p < end; p++) {
            Vec<T> b[V];
            for (int j = 0; j < V; j++) b[j] = load(B + p * ldb + W<T> * j);
            for (int i = 0; i < R; i++) {
                const Vec<T> a = all<T>(A[i * row + p * column]);
                for (int j = 0; j < V; j++) c[i][j] += a * b[j];
            }
        }
    }
    for (int i = 0; i < R; i++)
        for (int j = 0; j < V; j++) store(C + i * ldc + W<T> * j, c[i][j]);
}

template <class T, int R, int V, class... Rest> static inline void last_rows(int64_t m, Rest... rest) {
    if (m == R) block<T, R, V>(rest...);
    else if constexpr (R > 1) last_rows<T, R - 1, V>(m, rest...);
}

template <class T, int V>
static void rows_of_panel(int64_t m, int64_t k, const T* A, int64_t row, int64_t column, const T* B, int64_t ldb,
                          const T* S, int64_t lds, T* C, int64_t ldc) {
    int64_t i = 0;
    for (; i + ROWS <= m; i += ROWS)
        block<T, ROWS, V>(k, A + i * row, row, column, B, ldb, S ? S + i * lds : S, lds, C + i * ldc, ldc);
    if (i < m) last_rows<T, ROWS - 1, V>(m - i, k, A + i * row, row, column, B, ldb, S ? S + i * lds : S, lds,
                                         C + i * ldc, ldc);
}

// Z (m, n) = X (m, k) B + bias, with B (k, n) in panels, X and Z in rows.
template <class T>
static void times_panels(int64_t m, int64_t n, int64_t k, const T* X, int64_t ldx, const T* B, const T* bias, T* Z,
                         int64_t ldz) {
    for (int64_t j = 0; j < padded<T>(n); j += PANEL<T>) {
        const T *panel = B + j * k, *start = bias ? bias + j : nullptr;
        if (padded<T>(n) - j >= PANEL<T>)
            rows_of_panel<T, 2>(m, k, X, ldx, 1, panel, PANEL<T>, start, 0, Z + j, ldz);
        else
            rows_of_panel<T, 1>(m, k, X, ldx, 1, panel, W<T>, start, 0, Z + j, ldz);
    }
}

// Rows of a matrix at any places in memory, such as the examples of a minibatch.
template <class T> struct Rows {
    const T* data;
    int64_t size;          // of a row
    const int64_t* order;  // which row is where
    int64_t count;         // rows that `order` knows

    const T* operator[](int64_t i) const { return data + order[i] * size; }
};

// Copies m of the rows, from `first` on, to X; those that are `AHEAD` are fetched meanwhile.
template <int AHEAD = 0, class T>
static void copy_rows(const Rows<T>& rows, int64_t first, int64_t m, T* X, int64_t ldx) {
    for (int64_t i = 0; i < m; i++) {
        if (AHEAD && i + AHEAD < m)
            for (int64_t c = 0; c < rows.size; c += LINE / sizeof(T)) __builtin_prefetch(rows[first + i + AHEAD] + c);
        memcpy(X + i * ldx, rows[first + i], rows.size * sizeof(T));
    }
}

// As `times_panels` for X whose rows come from memory that is far away: the first panel's product copies them as it
// gets to them, while those that follow are on their way to the cache. Time goes by the slower of both, not their sum.
template <class T>
static void times_panels_of(const Rows<T>& rows, int64_t m, int64_t n, T* X, int64_t ldx, const T* B, const T* bias,
                            T* Z, int64_t ldz) {
    const int64_t k = rows.size;
    const bool is_full = padded<T>(n) >= PANEL<T>;
    int64_t i = 0;
    for (; i + ROWS <= m; i += ROWS) {
        const T* ahead[ROWS];
        for (int64_t r = 0; r < ROWS; r++) ahead[r] = rows[least(i + ROWS + r, rows.count - 1)];
        copy_rows(rows, i, ROWS, X + i * ldx, ldx);
        if (is_full) block<T, ROWS, 2, true>(k, X + i * ldx, ldx, 1, B, PANEL<T>, bias, 0, Z + i * ldz, ldz, ahead);
        else block<T, ROWS, 1, true>(k, X + i * ldx, ldx, 1, B, W<T>, bias, 0, Z + i * ldz, ldz, ahead);
    }
    copy_rows(rows, i, m - i, X + i * ldx, ldx);
    const int64_t first = is_full ? PANEL<T> : W<T>;
    times_panels(m - i, least(n, first), k, X + i * ldx, ldx, B, bias, Z + i * ldz, ldz);
    if (n > first) times_panels(m, n - first, k, X, ldx, B + first * k, bias ? bias + first : bias, Z + first, ldz);
}

// G (m, n) = X^T E in panels, from X (k, m) and E (k, n) in rows.
template <class T>
static void transposed_times(int64_t m, int64_t n, int64_t k, const T* X, int64_t ldx, const T* E, int64_t lde, T* G) {
    for (int64_t j = 0; j < padded<T>(n); j += PANEL<T>) {
        if (padded<T>(n) - j >= PANEL<T>)
            rows_of_panel<T, 2>(m, k, X, 1, ldx, E + j, lde, nullptr, 0, G + j * m, PANEL<T>);
        else
            rows_of_panel<T, 1>(m, k, X, 1, ldx, E + j, lde, nullptr, 0, G + j * m, W<T>);
    }
}

// Four by four numbers, transposed.
template <class T> static inline void transpose_four(const T* from, int64_t stride, T* to, int64_t to_stride) {
#if defined(__clang__) || __GNUC__ >= 12
    typedef T Four VECTOR(4 * sizeof(T));
    Four r[4], s[4];
    for (int i = 0; i < 4; i++) memcpy(&r[i], from + i * stride, sizeof(Four));
    s[0] = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), s[1] = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    s[2] = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), s[3] = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(s[0], s[2], 0, 1, 4, 5), r[1] = __builtin_shufflevector(s[0], s[2], 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(s[1], s[3], 0, 1, 4, 5), r[3] = __builtin_shufflevector(s[1], s[3], 2, 3, 6, 7);
    for (int i = 0; i < 4; i++) memcpy(to + i * to_stride, &r[i], sizeof(Four));
#else
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) to[j * to_stride + i] = from[i * stride + j];
#endif
}

// The matrix (n, m) from (m, n), both with rows at some distance; pieces of W columns, whose lines stay in the cache.
template <class T>
static void transpose(int64_t m, int64_t n, const T* from, int64_t stride, T* to, int64_t to_stride) {
    for (int64_t first = 0; first < n; first += W<T>) {
        const int64_t last = least(first + W<T>, n), fours = first + (last - first) / 4 * 4;
        int64_t i = 0;
        for (; i + 4 <= m; i += 4)
            for (int64_t j = first; j < fours; j += 4)
                transpose_four(from + i * stride + j, stride, to + j * to_stride + i, to_stride);
        for (int64_t k = 0; k < m; k++)
            for (int64_t j = k < i ? fours : first; j < last; j++) to[j * to_stride + k] = from[k * stride + j];
    }
}

// Zeros in the columns from n on of a matrix (m, n) in panels.
template <class T> static void clear_padding(int64_t m, int64_t n, T* panels) {
    const int64_t end = padded<T>(n), width = end % PANEL<T> ? W<T> : PANEL<T>;  // of the last panel
    T* panel = panels + (end - width) * m;
    for (int64_t i = 0; i < m; i++)
        for (int64_t c = n - (end - width); c < width; c++) panel[i * width + c] = 0;
}

// The matrix (n, m) in panels from (m, n) in panels; padding becomes zero.
template <class T> static void transpose_panels(int64_t m, int64_t n, const T* B, T* transposed) {
    for (int64_t j = 0; j < m; j += PANEL<T>) {  // a panel of the result: rows of B become its columns
        const int64_t width = least(padded<T>(m) - j, PANEL<T>), rows = least(m - j, width);
        for (int64_t l = 0; l < n; l += PANEL<T>) {
            const int64_t from_width = least(padded<T>(n) - l, PANEL<T>), columns = least(n - l, from_width);
            transpose(rows, columns, B + l * m + j * from_width, from_width, transposed + j * n + l * width, width);
        }
    }
    clear_padding(n, m, transposed);
}

// Between the matrix (out, in) as torch keeps it and its transpose (in, out) in panels; padding becomes zero.
template <class T> static void to_panels(int64_t in, int64_t out, const T* rows, T* panels) {
    for (int64_t j = 0; j < out; j += PANEL<T>) {
        const int64_t width = least(padded<T>(out) - j, PANEL<T>);
        transpose(least(out - j, width), in, rows + j * in, in, panels + j * in, width);
    }
    clear_padding(in, out, panels);
}

template <class T> static void from_panels(int64_t in, int64_t out, const T* panels, T* rows) {
    for (int64_t j = 0; j < out; j += PANEL<T>) {
        const int64_t width = least(padded<T>(out) - j, PANEL<T>);
        transpose(in, least(out - j, width), panels + j * in, width, rows + j * in, in);
    }
}
