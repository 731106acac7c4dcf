// The counter-based random bits of nnlab/randomness.py, bit for bit: masks are pure functions of (key, position).
//
// Source: the 32-bit finalizer of MurmurHash3 (Appleby 2011), applied twice with the halves of the key in between.
#pragma once
#include "vectors.h"

template <class U> static inline U mix(U bits) {
    bits ^= bits >> 16;
    bits *= 0x85EBCA6Bu;
    bits ^= bits >> 13;
    bits *= 0xC2B2AE35u;
    return bits ^ (bits >> 16);
}

// A new key from a key and a number such as the step or the layer.
static inline int64_t fold(int64_t key, uint64_t number) {
    const uint32_t low = mix(uint32_t(key & 0x7FFFFFFF) ^ uint32_t(number * 0x9E3779B1u + 0x7F4A7C15u));
    const uint32_t high = mix(uint32_t(key >> 31) + low);
    return int64_t(low & 0x7FFFFFFF) | int64_t(high & 0x7FFFFFFF) << 31;
}

// Key of noise module `module` in minibatch `position`, for a member with `key`.
static inline int64_t noise_key(int64_t key, int64_t position, int module) {
    return fold(fold(key, 1) ^ fold(position, 2), module);
}

// Masks from one key: `scale` with the probability of keeping, else 0.
template <class T> struct Mask {
    uint32_t low, high, threshold;
    T scale;

    Mask(int64_t key, T drop, bool inverted)
        : low(uint32_t(key & 0x7FFFFFFF)), high(uint32_t(key >> 31)),
          threshold(uint32_t((T(1) - drop) * T(2147483648.0))), scale(inverted ? T(1) / (T(1) - drop) : T(1)) {}

    // At the positions first, first + step, first + 2 step, ...
    Vec<T> at(uint32_t first, uint32_t step) const {
        Words<T> position;
        for (int i = 0; i < W<T>; i++) position[i] = first + step * i;
        const Words<T> bits = mix(mix(mix(position * 0x9E3779B1u) ^ low) + high) & 0x7FFFFFFFu;
        return __builtin_convertvector((bits < threshold) & 1, Vec<T>) * scale;
    }
};
