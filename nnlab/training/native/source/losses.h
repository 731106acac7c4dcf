// The losses of nnlab/loss with their gradients d by the outputs f (n, O); those of an example are multiplied by the
// weight of its class, where classes have weights.
#pragma once
#include "plan.h"
#include "product.h"

template <class T> struct Target {
    int64_t label;    // of classes
    const T* values;  // of regression, (C,)
};

template <class T> class Loss {
public:
    // `tile` has room for W examples.
    Loss(const Plan& plan, int64_t outputs, T* tile) : plan(plan), size(outputs), tile(tile) {}
    T smoothing = 0;

    // The sum of the losses of outputs f (n, O); d (n, O) becomes their gradient divided by n, with zeros as padding.
    double operator()(int64_t n, const T* f, int64_t stride, const Target<T>* target, T* d) const {
        double total = 0;
        if (plan.loss == SOFTMAX)
            for (int64_t i = 0; i < n; i += W<T>)
                total += softmax(least(W<T>, n - i), f + i * stride, stride, target + i, T(1) / T(n), d + i * stride);
        else
            for (int64_t i = 0; i < n; i++) total += weight(target[i]) * single(f + i * stride, target[i], T(1) / T(n), d + i * stride);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t c = size; c < stride; c++) d[i * stride + c] = 0;
            if (plan.class_weights)
                for (int64_t c = 0; c < size; c++) d[i * stride + c] *= weight(target[i]);
        }
        return total;
    }

    // The losses (n,) of softmax, and its probabilities p (n, O) without padding.
    void probabilities(int64_t n, const T* f, int64_t stride, const Target<T>* target, T* losses, T* p) const {
        for (int64_t first = 0; first < n; first += W<T>, f += W<T> * stride, p += W<T> * size) {
            const int64_t count = least(W<T>, n - first);
            const Powers found = powers(count, f, stride);
            for (int64_t c = 0; c < size; c++) store(tile + c * W<T>, load(tile + c * W<T>) / found.mass);
            for (int64_t i = 0; i < count; i++)
                losses[first + i] = T(cross_entropy(found, i, f + i * stride, target[first + i]));
            transpose(size, count, tile, W<T>, p, size);
        }
    }

private:
    const Plan& plan;
    const int64_t size;
    T* tile;

    T weight(const Target<T>& target) const { return plan.class_weights ? T(plan.class_weights[target.label]) : T(1); }

    double single(const T* f, Target<T> target, T share, T* d) const {
        switch (plan.loss) {
            case BINARY: return binary(f[0], target.label, share, d);
            case HINGE: return hinge(f[0], target.label, share, d);
            case MULTICLASS_SVM: return margins(f, target.label, share, d);
            case SQUARED_ERROR: return squared(f, target, share, d);
            default: return gaussian(f, target.values, share, d);
        }
    }

    const T shift = T(log(expm1(1 - 1e-6)));  // of the variance v(s) = softplus(s + shift) + 1e-6, v(0) = 1

    // Of up to W examples side by side, whose powers e^(f - top) are then in the tile.
    struct Powers {
        Vec<T> top, mass, log_mass, centred;  // the largest output, sums of powers and of f - top
    };

    Powers powers(int64_t count, const T* f, int64_t stride) const {
        transpose(count, size, f, stride, tile, W<T>);
        Vec<T> top = load(tile), mass{}, centred{};
        for (int64_t c = 1; c < size; c++) top = larger(top, load(tile + c * W<T>));
        for (int64_t c = 0; c < size; c++) {
            const Vec<T> z = load(tile + c * W<T>) - top, power = exponential<T>(z);
            centred += z, mass += power;
            store(tile + c * W<T>, power);
        }
        return {top, mass, logarithm<T>(mass), centred};
    }

    // -sum q log p with q = (1 - s) onehot(t) + s / C, of example i with outputs f.
    double cross_entropy(const Powers& powers, int64_t i, const T* f, const Target<T>& target) const {
        double loss = powers.log_mass[i] - (f[target.label] - powers.top[i]);
        if (smoothing > 0) loss -= smoothing * (loss + powers.centred[i] / size - powers.log_mass[i]);
        return loss * weight(target);
    }

    // The sum of the losses of up to W examples, d = p - q with p = softmax(f)
    double softmax(int64_t count, const T* f, int64_t stride, const Target<T>* target, T share, T* d) const {
        const Powers found = powers(count, f, stride);
        const Vec<T> scale = share / found.mass;
        for (int64_t c = 0; c < size; c++)
            store(tile + c * W<T>, load(tile + c * W<T>) * scale - share * smoothing / T(size));
        double total = 0;
        for (int64_t i = 0; i < count; i++) {
            total += cross_entropy(found, i, f + i * stride, target[i]);
            tile[target[i].label * W<T> + i] -= (1 - smoothing) * share;
        }
        transpose(size, count, tile, W<T>, d, stride);
        return total;
    }

    // log(1 + e^(-y f)) with y = +-1, d = sigmoid(f) - c
    double binary(T f, int64_t t, T share, T* d) const {
        const T u = t ? -f : f;
        d[0] = (1 / (1 + exp_of(-f)) - T(t)) * share;
        return (u > 0 ? u : u < 0 ? T(0) : u) + log1p_of(exp_of(u < 0 ? u : -u));
    }

    // max(0, 1 - y f), d = -y within the margin
    double hinge(T f, int64_t t, T share, T* d) const {
        const T y = T(2 * t - 1), slack = 1 - y * f;
        d[0] = slack > 0 ? -y * share : T(0);
        return slack < 0 ? T(0) : slack;  // NaN stays
    }

    // sum over j != t of max(0, 1 + f_j - f_t), d_j = 1 where that is positive, d_t minus their number
    double margins(const T* f, int64_t t, T share, T* d) const {
        double loss = 0;
        T violated = 0;
        for (int64_t c = 0; c < size; c++) {
            const T slack = 1 + f[c] - f[t];
            const bool counts = c != t && slack > 0;
            d[c] = counts ? share : T(0);
            violated += counts;
            if (c != t) loss += slack < 0 ? T(0) : slack;
        }
        d[t] = -violated * share;
        return loss;
    }

    // 1/2 sum (f - y)^2, d = f - y; classes are one-hot vectors
    double squared(const T* f, Target<T> target, T share, T* d) const {
        double loss = 0;
        for (int64_t c = 0; c < size; c++) {
            const T error = f[c] - (target.values ? target.values[c] : T(c == target.label));
            loss += error * error;
            d[c] = error * share;
        }
        return loss / 2;
    }

    // 1/2 sum (log 2 pi v + (mu - y)^2 / v), by mu: (mu - y) / v, by v: (1 / v - ((mu - y) / v)^2) / 2
    double gaussian(const T* f, const T* y, T share, T* d) const {
        const int64_t count = plan.targets;
        double loss = 0;
        for (int64_t c = 0; c < count; c++) {
            T v = T(plan.fixed_variance), raw = 0;
            if (plan.loss == GAUSSIAN_PREDICTED) {
                raw = f[count + c] + shift;
                v = (raw > 20 ? raw : log1p_of(exp_of(raw))) + T(1e-6);
            }
            const T error = f[c] - y[c], by_mean = error / v;
            loss += 0.5 * (1.83787706640934548356 + log_of(v) + error * by_mean);
            d[c] = by_mean * share;
            if (plan.loss == GAUSSIAN_PREDICTED)
                d[count + c] = T(0.5) * (1 / v - by_mean * by_mean) / (1 + exp_of(-raw)) * share;
        }
        return loss;
    }
};
