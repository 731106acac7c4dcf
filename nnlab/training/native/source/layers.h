// The layers of a chain, each a black box with its forward and backward pass, as in nnlab/training/layers.py.
//
// Signals are rows (N, features), each row padded to whole vectors. With error signals written e = dL/dy, a layer turns
// e in place or into the error of its input, and writes the gradient of its parameters.
#pragma once
#include "plan.h"
#include "product.h"
#include "random.h"

template <class T> struct Signal {
    T* data;
    int64_t size, stride;
};

template <class T> struct Layer {
    const Link* link;
    Signal<T> x, y;
    T *weight = nullptr, *bias = nullptr, *weight_bar = nullptr, *bias_bar = nullptr;
    T *mask = nullptr, *masked = nullptr, *transposed = nullptr;     // of dropout and DropConnect; scratch of products
    T *normalised = nullptr, *statistics = nullptr;                  // of batch norm
    T *running_mean = nullptr, *running_variance = nullptr;          // of the present member
    int64_t* batches = nullptr;
    T drop = 0;
    const Rows<T>* rows = nullptr;  // where a product finds its input, which is then copied to x

    void forward(int64_t n, bool training, bool noisy, int64_t key, int64_t first);
    void backward(int64_t n, T* e, T* before, bool is_first);

    bool in_place() const { return link->kind != LINEAR && link->kind != DROPCONNECT; }
};

constexpr double SELU_ALPHA = 1.6732632423543772848170429916717, SELU_SCALE = 1.0507009873554804934193349852946;

// y = phi(x)
template <class T> static inline Vec<T> activate(int32_t function, Vec<T> x, T a) {
    switch (function) {
        case RELU: return x < T(0) ? all<T>(T(0)) : x;
        case LEAKY_RELU: return x > T(0) ? x : x * a;
        case ELU: return x > T(0) ? x : exponential_minus_one<T>(smaller(x, all<T>(T(0)))) * a;
        case SIGMOID: return logistic<T>(x);
        case TANH: return hyperbolic_tangent<T>(x);
        case SOFTPLUS: return soft_plus<T>(x);
        case GELU: return x * normal_cdf<T>(x);
        case SILU: return x * logistic<T>(x);
        case SELU:
            return (x > T(0) ? x : exponential_minus_one<T>(smaller(x, all<T>(T(0)))) * T(SELU_ALPHA)) * T(SELU_SCALE);
        case MISH: return x * hyperbolic_tangent<T>(soft_plus<T>(x));
        case HARD_THRESHOLD: return x > T(0) ? all<T>(T(1)) : x - x;  // NaN stays
        default: return x;
    }
}

// phi'(x), given y = phi(x) as well
template <class T> static inline Vec<T> slope(int32_t function, Vec<T> x, Vec<T> y, T a) {
    const Vec<T> one = all<T>(T(1)), zero = all<T>(T(0));
    switch (function) {
        case RELU: return y > T(0) ? one : zero;
        case LEAKY_RELU: return x > T(0) ? one : all<T>(a);
        case ELU: return x > T(0) ? one : y + a;
        case SIGMOID: return y * (one - y);
        case TANH: return one - y * y;
        case SOFTPLUS: return logistic<T>(x);
        case GELU: return normal_cdf<T>(x) + x * exponential<T>(x * x * T(-0.5)) * T(0.39894228040143267794);
        case SILU: { const Vec<T> s = logistic<T>(x); return s + y * (one - s); }
        case SELU: return x > T(0) ? all<T>(T(SELU_SCALE)) : y + T(SELU_SCALE * SELU_ALPHA);
        case MISH: {
            const Vec<T> t = hyperbolic_tangent<T>(soft_plus<T>(x));
            return t + x * logistic<T>(x) * (one - t * t);
        }
        case HARD_THRESHOLD: return zero;
        default: return one;
    }
}

// One loop for each function, so that nothing is decided within it.
template <class T, int F> static void activate_all(const T* x, T* y, int64_t count, T a) {
    for (int64_t i = 0; i < count; i += W<T>) store(y + i, activate<T>(F, load(x + i), a));
}
template <class T, int F> static void error_all(const T* x, const T* y, T* e, int64_t count, T a) {
    for (int64_t i = 0; i < count; i += W<T>) store(e + i, load(e + i) * slope<T>(F, load(x + i), load(y + i), a));
}
template <class T, int F = HARD_THRESHOLD> static void activate_by(int f, const T* x, T* y, int64_t count, T a) {
    if (f == F) activate_all<T, F>(x, y, count, a);
    else if constexpr (F > 0) activate_by<T, F - 1>(f, x, y, count, a);
}
template <class T, int F = HARD_THRESHOLD> static void error_by(int f, const T* x, const T* y, T* e, int64_t count, T a) {
    if (f == F) error_all<T, F>(x, y, e, count, a);
    else if constexpr (F > 0) error_by<T, F - 1>(f, x, y, e, count, a);
}

// sum over examples of e
template <class T> static void column_sums(int64_t n, const T* e, int64_t stride, T* sums) {
    for (int64_t c = 0; c < stride; c += W<T>) {
        Vec<T> total = load(e + c);
        for (int64_t i = 1; i < n; i++) total += load(e + i * stride + c);
        store(sums + c, total);
    }
}

// y = weight (x - mean) / sqrt(variance + eps) + bias over the batch (Ioffe and Szegedy 2015)
template <class T> static void normalise(Layer<T>& l, int64_t n, bool training) {
    const int64_t stride = l.x.stride, features = l.x.size;
    const T eps = T(l.link->a), rate = T(l.link->b);
    T *mean = l.statistics, *variance = mean + stride, *inverse = variance + stride;
    if (training) {
        column_sums(n, l.x.data, stride, mean);
        for (int64_t c = 0; c < stride; c += W<T>) {
            const Vec<T> m = load(mean + c) / T(n);
            Vec<T> total{};
            for (int64_t i = 0; i < n; i++) {
                const Vec<T> d = load(l.x.data + i * stride + c) - m;
                total += d * d;
            }
            store(mean + c, m);
            store(variance + c, total / T(n));
        }
        const T unbiased = T(n) / T(most(n - 1, 1));
        for (int64_t c = 0; c < features; c++) {
            l.running_mean[c] += rate * (mean[c] - l.running_mean[c]);
            l.running_variance[c] += rate * (variance[c] * unbiased - l.running_variance[c]);
        }
        ++*l.batches;
    } else {
        memcpy(mean, l.running_mean, features * sizeof(T));
        memcpy(variance, l.running_variance, features * sizeof(T));
    }
    for (int64_t c = 0; c < stride; c += W<T>) {
        const Vec<T> m = load(mean + c), scale = T(1) / root(load(variance + c) + eps);
        const Vec<T> w = load(l.weight + c), b = load(l.bias + c);
        store(inverse + c, scale);
        for (int64_t i = 0; i < n; i++) {
            const Vec<T> u = (load(l.x.data + i * stride + c) - m) * scale;
            store(l.normalised + i * stride + c, u);
            store(l.y.data + i * stride + c, u * w + b);
        }
    }
}

// With u = (x - mean) / sigma: e_x = (w e - mean(w e) - u mean(w e u)) / sigma
template <class T> static void normalise_backward(Layer<T>& l, int64_t n, T* e) {
    const int64_t stride = l.x.stride;
    const T* inverse = l.statistics + 2 * stride;
    for (int64_t c = 0; c < stride; c += W<T>) {
        Vec<T> total{}, projected{};
        for (int64_t i = 0; i < n; i++) {
            const Vec<T> error = load(e + i * stride + c);
            total += error;
            projected += error * load(l.normalised + i * stride + c);
        }
        store(l.bias_bar + c, total);
        store(l.weight_bar + c, projected);
        const Vec<T> w = load(l.weight + c), scale = load(inverse + c);
        for (int64_t i = 0; i < n; i++) {
            const Vec<T> error = load(e + i * stride + c), u = load(l.normalised + i * stride + c);
            store(e + i * stride + c, scale * (w * error - w * total / T(n) - u * (w * projected / T(n))));
        }
    }
}

// The mask of weights (out, in), in panels of the transpose; masked = W mask
template <class T> static void mask_weights(Layer<T>& l, int64_t key) {
    const Mask<T> draw(key, l.drop, l.link->inverted);
    const int64_t in = l.x.size, out = l.y.size;
    for (int64_t j = 0; j < padded<T>(out); j += PANEL<T>) {
        const int64_t width = least(padded<T>(out) - j, PANEL<T>);
        for (int64_t d = 0; d < in; d++)
            for (int64_t c = 0; c < width; c += W<T>) {
                const int64_t place = j * in + d * width + c;
                const Vec<T> m = draw.at(uint32_t((j + c) * in + d), uint32_t(in));
                store(l.mask + place, m);
                store(l.masked + place, load(l.weight + place) * m);
            }
    }
}

template <class T> void Layer<T>::forward(int64_t n, bool training, bool noisy, int64_t key, int64_t first) {
    const int64_t count = n * x.stride;
    switch (link->kind) {
        case LINEAR:  // y = x W^T + bias
            if (rows) return times_panels_of(*rows, n, y.size, x.data, x.stride, weight, bias, y.data, y.stride);
            return times_panels(n, y.size, x.size, x.data, x.stride, weight, bias, y.data, y.stride);
        case DROPCONNECT:  // y = x (mask * W)^T + bias
            if (noisy) mask_weights(*this, key);
            return times_panels(n, y.size, x.size, x.data, x.stride, noisy ? masked : weight, bias, y.data, y.stride);
        case ELEMENTWISE: return activate_by<T>(link->function, x.data, y.data, count, T(link->a));
        case LEARNED_SLOPE: return activate_all<T, LEAKY_RELU>(x.data, y.data, count, weight[0]);
        case DROPOUT: {  // y = x * mask
            const Mask<T> draw(key, drop, link->inverted);
            const T keep = link->inverted ? T(1) : T(1) - drop;
            for (int64_t i = 0; i < n; i++)
                for (int64_t c = 0; c < x.stride; c += W<T>) {
                    const int64_t place = i * x.stride + c;
                    const Vec<T> m = noisy ? draw.at(uint32_t((first + i) * x.size + c), 1) : all<T>(keep);
                    store(mask + place, m);
                    store(y.data + place, load(x.data + place) * m);
                }
            return;
        }
        case BATCH_NORM: return normalise(*this, n, training);
    }
}

// The error e (N, outputs) becomes that of the input: in `before` for products, else in place. The first layer with
// parameters needs none.
template <class T> void Layer<T>::backward(int64_t n, T* e, T* before, bool is_first) {
    const int64_t count = n * y.stride;
    switch (link->kind) {
        case LINEAR:
        case DROPCONNECT:  // W-bar = e^T x (* mask), bias-bar = sum of e, x-bar = e W
            transposed_times(x.size, y.size, n, x.data, x.stride, e, y.stride, weight_bar);
            if (link->kind == DROPCONNECT)
                for (int64_t i = 0; i < x.size * padded<T>(y.size); i += W<T>)
                    store(weight_bar + i, load(weight_bar + i) * load(mask + i));
            if (bias) column_sums(n, e, y.stride, bias_bar);
            if (is_first) return;
            transpose_panels(x.size, y.size, link->kind == DROPCONNECT ? masked : weight, transposed);
            return times_panels<T>(n, x.size, y.size, e, y.stride, transposed, nullptr, before, x.stride);
        case ELEMENTWISE: return error_by<T>(link->function, x.data, y.data, e, count, T(link->a));
        case LEARNED_SLOPE: {  // slope-bar = sum of e min(x, 0)
            Vec<T> total{};
            for (int64_t i = 0; i < count; i += W<T>) total += load(e + i) * smaller(load(x.data + i), all<T>(T(0)));
            store(weight_bar, Vec<T>{});
            weight_bar[0] = sum<T>(total);
            return error_all<T, LEAKY_RELU>(x.data, y.data, e, count, weight[0]);
        }
        case DROPOUT:
            for (int64_t i = 0; i < count; i += W<T>) store(e + i, load(e + i) * load(mask + i));
            return;
        case BATCH_NORM: return normalise_backward(*this, n, e);
    }
}
