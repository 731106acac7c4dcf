// What Python hands over, field by field as in nnlab/training/native/plan.py. T is float or double for a whole plan.
#pragma once
#include <stdint.h>

enum Kind : int32_t { LINEAR, DROPCONNECT, ELEMENTWISE, LEARNED_SLOPE, DROPOUT, BATCH_NORM };
enum Function : int32_t {
    IDENTITY, RELU, LEAKY_RELU, ELU, SIGMOID, TANH, SOFTPLUS, GELU, SILU, SELU, MISH, HARD_THRESHOLD
};
enum LossKind : int32_t { SOFTMAX, BINARY, HINGE, MULTICLASS_SVM, SQUARED_ERROR, GAUSSIAN_FIXED, GAUSSIAN_PREDICTED };
enum Rule : int32_t { SGD, MOMENTUM, ARITHMETIC, HEAVY_BALL, NESTEROV, ADAGRAD, RMSPROP, RMSPROP_OUTSIDE, ADADELTA, ADAM };
enum Phase : int32_t { GRADIENT = 1, UPDATE = 2 };

// Numbers of one member, in this order.
enum Hyper { FIRST, SECOND, EPS, OPTIMIZER_DECAY, L2, DECOUPLED, L1, MAX_NORM, CLIP_NORM, CLIP_VALUE, SMOOTHING, HYPERS };

// One layer of the chain.
struct Link {
    int32_t kind, function;
    int64_t inputs, outputs;
    int64_t weight, bias;       // where its parameters begin in a member's row; -1: it has none
    double a, b;                // slope or alpha of an activation; eps and momentum of batch norm
    int32_t noise, inverted;    // which noise module it is, and whether masks are divided by the probability of keeping
    const void* p;              // (M,) T, the members' probabilities of dropping
    void *mean, *variance;      // (M, outputs) T, the members' running statistics
    int64_t* batches;           // (M,), how many batches they have seen
};

struct Plan {
    int32_t is_double, links, threads, phases;
    const Link* chain;
    int64_t members, parameters;  // M, P
    void *theta, *gradient;       // (M, P) T
    void *state1, *state2;        // (M, P) T, memory of the optimizer, null where it has none
    const double* hypers;         // (M, HYPERS)

    int32_t loss, labels;         // labels: targets are int64 (n,) rather than T (n, targets)
    int32_t rule, skip;           // skip: leave out updates that are not finite, rather than end there
    int64_t targets;              // C, how many targets an example has
    const double* class_weights;  // (C,), null for none
    double fixed_variance;

    const void* const* inputs;    // (M,) pointers to inputs (n, D) T
    const void* const* labelled;  // (M,) pointers to targets
    const int64_t* const* order;  // (M,) pointers to the examples' positions in the first epoch here
    int64_t order_stride;         // from one epoch's positions to the next's
    int64_t first_epoch, examples, batch_size, batches_per_epoch;
    const int64_t* noise_keys;    // (M,)

    int64_t first_step, steps, steps_per_epoch, accumulate;
    const double* rates;          // learning rates of these steps
    int64_t rate_of_step, rate_of_member;  // strides

    double* losses;               // (steps, M)
    int64_t* ended;               // (M,), out: the step at which a number was not finite, or -1
    int64_t* skipped;             // (M,), in and out: how many updates were left out

    // Forward passes alone.
    int64_t count;                // examples, whose inputs are (count, D) T
    const int64_t* pass_keys;     // (noise modules, M): masks are drawn from these, where not negative; null: none are
    void* outputs;                // (M, count, O) T
    void* example_losses;         // (M, count) T of softmax, whose probabilities are then the outputs; null: none are
    const double* smoothings;     // (M,), for these
};
