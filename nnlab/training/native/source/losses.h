// The losses of nnlab/loss with their gradients d by the outputs f, one example (one row of O outputs) at a time; each
// is multiplied by the weight of the example's class, where classes have weights.
#pragma once
#include "plan.h"
#include "vectors.h"

template <class T> struct Target {
    int64_t label;    // of classes
    const T* values;  // of regression, (C,)
};

template <class T> class Loss {
public:
    Loss(const Plan& plan, int64_t outputs) : plan(plan), size(outputs) {}
    T smoothing = 0;

    // The loss; d (O,) padded becomes its gradient times `share`, with zeros as padding. The padding of f is scratch.
    double operator()(T* f, Target<T> target, T share, T* d) const {
        const T weight = plan.class_weights ? T(plan.class_weights[target.label]) : T(1);
        for (int64_t c = size; c < padded<T>(size); c++) d[c] = 0;
        return weight * unweighted(f, target, weight * share, d);
    }

private:
    const Plan& plan;
    const int64_t size;

    double unweighted(T* f, Target<T> target, T share, T* d) const {
        switch (plan.loss) {
            case SOFTMAX: return softmax(f, target.label, share, d);
            case BINARY: return binary(f[0], target.label, share, d);
            case HINGE: return hinge(f[0], target.label, share, d);
            case MULTICLASS_SVM: return margins(f, target.label, share, d);
            case SQUARED_ERROR: return squared(f, target, share, d);
            default: return gaussian(f, target.values, share, d);
        }
    }

    const T shift = T(log(expm1(1 - 1e-6)));  // of the variance v(s) = softplus(s + shift) + 1e-6, v(0) = 1

    // -sum q log p, d = p - q, with p = softmax(f) and q = (1 - s) onehot(t) + s / C
    double softmax(T* f, int64_t t, T share, T* d) const {
        const int64_t stride = padded<T>(size);
        for (int64_t c = size; c < stride; c++) f[c] = T(-INFINITY);
        Vec<T> top = load(f);
        for (int64_t c = W<T>; c < stride; c += W<T>) top = larger(top, load(f + c));
        T peak = top[0];
        for (int i = 1; i < W<T>; i++) peak = peak < top[i] ? top[i] : peak;
        Vec<T> total{};
        for (int64_t c = 0; c < stride; c += W<T>) {
            const Vec<T> power = exponential<T>(load(f + c) - peak);
            store(d + c, power);
            total += power;
        }
        const T mass = sum<T>(total), log_mass = log_of(mass);
        double loss = log_mass - (f[t] - peak);
        if (smoothing > 0) {
            double mean = 0;
            for (int64_t c = 0; c < size; c++) mean += f[c] - peak - log_mass;
            loss -= smoothing * (loss + mean / size);
            for (int64_t c = 0; c < size; c++) d[c] -= smoothing / size * mass;
        }
        const T scale = share / mass;
        for (int64_t c = 0; c < stride; c += W<T>) store(d + c, load(d + c) * scale);
        d[t] += (smoothing - 1) * share;
        return loss;
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
