// From a gradient to the next parameters: penalties, clipping, decay, the optimizers of nnlab/optimizer, and max-norm.
#pragma once
#include "plan.h"
#include "product.h"

// Where one parameter lies in a member's row: (out, in) in torch's row, (in, out) in panels here; or a vector.
struct Segment {
    int64_t start, place, in, out;  // first position in torch's row and in the padded row
    bool is_weight;                 // what penalties, decay and constraints look at
    template <class T> int64_t size() const { return in * padded<T>(out); }
};

// g += l2 theta + l1 sign(theta)
template <class T> static void add_penalties(T* g, const T* theta, int64_t count, T l2, T l1) {
    const Vec<T> zero{}, one = all<T>(l1);
    if (l1 == 0) {
        for (int64_t i = 0; i < count; i += W<T>) store(g + i, load(g + i) + load(theta + i) * l2);
        return;
    }
    for (int64_t i = 0; i < count; i += W<T>) {
        const Vec<T> w = load(theta + i), sign = w > T(0) ? one : w < T(0) ? -one : zero;
        store(g + i, load(g + i) + w * l2 + sign);
    }
}

// Whether all numbers are finite: x - x is 0 for those, and NaN for others.
template <class T> static bool is_finite(const T* g, int64_t count) {
    Vec<T> total{};
    for (int64_t i = 0; i < count; i += W<T>) {
        const Vec<T> v = load(g + i);
        total += v - v;
    }
    return sum<T>(total) == 0;
}

// Every entry to [-value, value], then the row to a norm of at most `norm` (Pascanu et al. 2013).
template <class T> static void clip(T* g, int64_t count, T value, T norm) {
    if (value < INFINITY)
        for (int64_t i = 0; i < count; i += W<T>)
            store(g + i, smaller(larger(load(g + i), all<T>(-value)), all<T>(value)));
    if (norm < INFINITY) {
        Vec<T> squares{};
        for (int64_t i = 0; i < count; i += W<T>) squares += load(g + i) * load(g + i);
        const T share = norm / (T(sqrt(sum<T>(squares))) + T(1e-6)), factor = share < 1 ? share : T(1);
        for (int64_t i = 0; i < count; i += W<T>) store(g + i, load(g + i) * factor);
    }
}

// Step k = 1, 2, ... of one member.
template <class T> struct Move {
    Vec<T> first, second, eps, rate, scale;  // hyper-parameters, rate, and 1 / (1 - beta2^k) of Adam

    Move(int32_t rule, const double* hyper, double learning_rate, int64_t k) {
        double a = hyper[FIRST], r = learning_rate, s = 1;
        if (rule == ARITHMETIC) a = double(k - 1) / k;
        if (rule == ADAM) r /= 1 - pow(a, k), s /= 1 - pow(hyper[SECOND], k);
        first = all<T>(T(a)), second = all<T>(T(hyper[SECOND])), eps = all<T>(T(hyper[EPS]));
        rate = all<T>(T(r)), scale = all<T>(T(s));
        first_rest = all<T>(T(1 - a)), second_rest = all<T>(T(1 - hyper[SECOND]));
    }

    // The step -d of a vector of parameters with gradient g; m and v are the optimizer's memory.
    template <int RULE> inline Vec<T> step(Vec<T> g, Vec<T>& m, Vec<T>& v) const {
        switch (RULE) {
            case SGD: return rate * g;
            case MOMENTUM:  // m = gamma m + (1 - gamma) g, d = eta m
            case ARITHMETIC: m += first_rest * (g - m); return rate * m;
            case HEAVY_BALL: m = first * m + g; return rate * m;                    // m = mu m + g, d = eta m
            case NESTEROV: m = first * m + g; return rate * (g + first * m);        // d = eta (g + mu m)
            case ADAGRAD: m += g * g; return rate * g / (root(m) + eps);            // m = m + g^2
            case RMSPROP:  // m = gamma m + (1 - gamma) g^2, d = eta g / sqrt(m + eps)
                m = first * m + first_rest * (g * g);
                return rate * g / root(m + eps);
            case RMSPROP_OUTSIDE: m = first * m + first_rest * (g * g); return rate * g / (root(m) + eps);
            case ADADELTA: {  // v = rho v + (1 - rho) g^2, d = sqrt((m + eps) / (v + eps)) g, m = rho m + (1 - rho) d^2
                v = first * v + first_rest * (g * g);
                const Vec<T> d = root((m + eps) / (v + eps)) * g;
                m = first * m + first_rest * (d * d);
                return rate * d;
            }
            default:  // Adam: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, d = eta m^ / (sqrt(v^) + eps)
                m += first_rest * (g - m);
                v = second * v + second_rest * (g * g);
                return rate * m / (root(v * scale) + eps);
        }
    }

private:
    Vec<T> first_rest, second_rest;  // 1 - first, 1 - second
};

// theta = decay theta - d
template <class T, int RULE>
static void update_all(const Move<T>& move, T* theta, const T* g, T* m, T* v, int64_t count, T decay) {
    constexpr bool one = RULE != SGD, two = RULE == ADAM || RULE == ADADELTA;
    for (int64_t i = 0; i < count; i += W<T>) {
        Vec<T> first = one ? load(m + i) : Vec<T>{}, second = two ? load(v + i) : Vec<T>{};
        const Vec<T> d = move.template step<RULE>(load(g + i), first, second);
        if (one) store(m + i, first);
        if (two) store(v + i, second);
        store(theta + i, load(theta + i) * decay - d);
    }
}
template <class T, int RULE = ADAM>
static void update_by(int rule, const Move<T>& move, T* theta, const T* g, T* m, T* v, int64_t count, T decay) {
    if (rule == RULE) update_all<T, RULE>(move, theta, g, m, v, count, decay);
    else if constexpr (RULE > 0) update_by<T, RULE - 1>(rule, move, theta, g, m, v, count, decay);
}

// w <- w min(1, c / ||w||) for the weights that enter each unit: the columns of (in, out) in panels.
template <class T> static void project(T* weight, int64_t in, int64_t out, T limit) {
    for (int64_t j = 0; j < padded<T>(out); j += PANEL<T>) {
        const int64_t width = least(padded<T>(out) - j, PANEL<T>);
        for (int64_t c = 0; c < width; c += W<T>) {
            T* column = weight + j * in + c;
            Vec<T> squares{};
            for (int64_t d = 0; d < in; d++) squares += load(column + d * width) * load(column + d * width);
            const Vec<T> factor = limit / larger(root(squares), all<T>(limit));
            for (int64_t d = 0; d < in; d++) store(column + d * width, load(column + d * width) * factor);
        }
    }
}
