// Vectors of W numbers, as wide as the processor's registers, and the functions of them that layers and losses need.
//
// Everything is written in the vector types that GCC and Clang share, and without the C++ library, which not every
// compiler has at hand.
// The arithmetic keeps infinities and NaN as they are: the engine finds numbers that are not finite by them.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define VECTOR(size) __attribute__((vector_size(size)))

// Rows that a product keeps in registers beside 2 vectors: 32 registers hold 8 x 2 sums, 16 hold 6 x 2.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int ROWS = 8;
#else
constexpr int ROWS = 6;
#endif

// Of a number type: its vector, the signed integers of the same lanes, and 32-bit words for random bits.
template <class T> struct Lanes;
template <> struct Lanes<float> {
    typedef float Vector VECTOR(VECTOR_BYTES);
    typedef int32_t Integer VECTOR(VECTOR_BYTES);
    typedef uint32_t Word VECTOR(VECTOR_BYTES);
    static constexpr int mantissa = 23, bias = 127;
};
template <> struct Lanes<double> {
    typedef double Vector VECTOR(VECTOR_BYTES);
    typedef int64_t Integer VECTOR(VECTOR_BYTES);
    typedef uint32_t Word VECTOR(VECTOR_BYTES / 2);
    static constexpr int mantissa = 52, bias = 1023;
};
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Functions of one number in its own precision.
static inline float exp_of(float x) { return expf(x); }
static inline double exp_of(double x) { return exp(x); }
static inline float log_of(float x) { return logf(x); }
static inline double log_of(double x) { return log(x); }
static inline float log1p_of(float x) { return log1pf(x); }
static inline double log1p_of(double x) { return log1p(x); }
static inline float erfc_of(float x) { return erfcf(x); }
static inline double erfc_of(double x) { return erfc(x); }

// While it lives, this thread takes numbers nearer to zero than the smallest normal one as zero. The optimizer's memory
// of gradients that have vanished comes to rest among them, and each would take the processor a hundred times as long.
class FlushedToZero {
    uint64_t before = read();

public:
    FlushedToZero() { write(before | BITS); }
    ~FlushedToZero() { write(before); }

private:
#if defined(__SSE__)
    static constexpr uint64_t BITS = 0x8040;  // of results, and of what is read
    static uint64_t read() { return __builtin_ia32_stmxcsr(); }
    static void write(uint64_t mode) { __builtin_ia32_ldmxcsr(uint32_t(mode)); }
#elif defined(__aarch64__)
    static constexpr uint64_t BITS = 1 << 24;
    static uint64_t read() { uint64_t mode; __asm__ volatile("mrs %0, fpcr" : "=r"(mode)); return mode; }
    static void write(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
    static constexpr uint64_t BITS = 0;
    static uint64_t read() { return 0; }
    static void write(uint64_t) {}
#endif
};

template <class T> using Vec = typename Lanes<T>::Vector;
template <class T> using Int = typename Lanes<T>::Integer;
template <class T> using Words = typename Lanes<T>::Word;
template <class T> constexpr int W = VECTOR_BYTES / sizeof(T);

// The smallest multiple of W that holds `count` numbers.
template <class T> constexpr int64_t padded(int64_t count) { return (count + W<T> - 1) / W<T> * W<T>; }

template <class T> static inline Vec<T> load(const T* p) { Vec<T> v; memcpy(&v, p, sizeof v); return v; }
template <class T> static inline void store(T* p, Vec<T> v) { memcpy(p, &v, sizeof v); }
template <class T> static inline Vec<T> all(T x) { return x - Vec<T>{}; }

template <class T> static inline T sum(Vec<T> v) {
    T total = 0;
    for (int i = 0; i < W<T>; i++) total += v[i];
    return total;
}

template <class V> static inline V root(V v) {
#if defined(__clang__)
    return __builtin_elementwise_sqrt(v);
#else
    for (unsigned i = 0; i < sizeof v / sizeof v[0]; i++)  // one instruction
        v[i] = sizeof v[0] == 4 ? __builtin_sqrtf(v[i]) : __builtin_sqrt(v[i]);
    return v;
#endif
}

template <class V> static inline V larger(V a, V b) { return a < b ? b : a; }   // a where a is NaN
template <class V> static inline V smaller(V a, V b) { return a > b ? b : a; }  // a where a is NaN

// 2^k for whole k in the range of exponents.
template <class T> static inline Vec<T> power_of_two(Int<T> k) {
    return (Vec<T>)((k + Lanes<T>::bias) << Lanes<T>::mantissa);
}

// x = k log 2 + r with |r| <= (log 2) / 2; gives e^r - 1 by Taylor's series, short of a unit in the last place, and k.
template <class T> static inline Vec<T> reduced_expm1(Vec<T> x, Int<T>& k) {
    constexpr T magic = sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0);  // 1.5 * 2^mantissa rounds to integers
    constexpr T high = sizeof(T) == 4 ? T(0.693359375) : T(6.93147180369123816490e-01);
    constexpr T low = sizeof(T) == 4 ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
    constexpr int terms = sizeof(T) == 4 ? 7 : 13;
    const Vec<T> rounded = x * T(1.44269504088896340736) + magic;
    const Vec<T> whole = rounded - magic;
    k = (Int<T>)rounded - (Int<T>)all<T>(magic);
    const Vec<T> r = (x - whole * high) - whole * low;
    constexpr double inverse[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
                                  1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    Vec<T> series = all<T>(T(inverse[terms]));
    for (int n = terms - 1; n >= 2; n--) series = series * r + T(inverse[n]);
    return r + r * r * series;
}

template <class T> static inline Vec<T> exponential(Vec<T> x) {
    constexpr T top = sizeof(T) == 4 ? T(89) : T(710), bottom = sizeof(T) == 4 ? T(-104) : T(-746);
    x = smaller(larger(x, all<T>(bottom)), all<T>(top));
    Int<T> k;
    const Vec<T> minus_one = reduced_expm1<T>(x, k);
    const Int<T> half = k >> 1;  // in two steps, so that neither factor leaves the range
    return (minus_one + T(1)) * power_of_two<T>(half) * power_of_two<T>(k - half);
}

// e^x - 1 for x <= 44, to full precision around zero.
template <class T> static inline Vec<T> exponential_minus_one(Vec<T> x) {
    x = smaller(larger(x, all<T>(T(-44))), all<T>(T(44)));
    Int<T> k;
    const Vec<T> minus_one = reduced_expm1<T>(x, k), power = power_of_two<T>(k);
    return power * minus_one + (power - T(1));
}

// log(1 + x) for x in [0, 1] by 2 artanh(x / (2 + x)).
template <class T> static inline Vec<T> log_one_plus(Vec<T> x) {
    constexpr int terms = sizeof(T) == 4 ? 8 : 17;
    const Vec<T> s = x / (x + T(2)), square = s * s;
    Vec<T> series = all<T>(T(1.0 / (2 * terms + 1)));
    for (int n = terms - 1; n >= 0; n--) series = series * square + T(1.0 / (2 * n + 1));
    return s * series * T(2);
}

// log x for x >= 1 (or NaN): with x = 2^k f and f in [3/4, 3/2), k log 2 + 2 artanh((f - 1) / (f + 1)).
template <class T> static inline Vec<T> logarithm(Vec<T> x) {
    constexpr int terms = sizeof(T) == 4 ? 5 : 13;
    const Int<T> bits = (Int<T>)x, half = (Int<T>)all<T>(T(0.75));
    const Int<T> k = (bits - half) >> Lanes<T>::mantissa;
    const Vec<T> f = (Vec<T>)(bits - (k << Lanes<T>::mantissa)), s = (f - T(1)) / (f + T(1)), square = s * s;
    Vec<T> series = all<T>(T(1.0 / (2 * terms + 1)));
    for (int n = terms - 1; n >= 0; n--) series = series * square + T(1.0 / (2 * n + 1));
    const Vec<T> y = __builtin_convertvector(k, Vec<T>) * T(0.69314718055994530942) + s * series * T(2);
    return x == x ? y : x;
}

template <class T> static inline Vec<T> hyperbolic_tangent(Vec<T> x) {
    const Vec<T> size = x < T(0) ? -x : x;
    const Vec<T> e = exponential_minus_one<T>(size + size);
    const Vec<T> y = e / (e + T(2));
    return x < T(0) ? -y : y;
}

template <class T> static inline Vec<T> logistic(Vec<T> x) { return T(1) / (exponential<T>(-x) + T(1)); }

// log(1 + e^x)
template <class T> static inline Vec<T> soft_plus(Vec<T> x) {
    const Vec<T> size = x < T(0) ? -x : x;
    return larger(x, all<T>(T(0))) + log_one_plus<T>(exponential<T>(-size));
}

// The normal distribution function Phi(x), number by number.
template <class T> static inline Vec<T> normal_cdf(Vec<T> x) {
    for (int i = 0; i < W<T>; i++) x[i] = T(0.5) * erfc_of(x[i] * T(-0.70710678118654752440));
    return x;
}
