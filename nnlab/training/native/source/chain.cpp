// Chains of layers trained one member at a time, for a whole block of steps while its weights, the optimizer's memory
// and the gradient stay in the processor's caches; the members of a population go over threads.
//
// What a member gets depends on nothing but the member: neither on the number of threads, nor on the others, nor on how
// the steps are cut into blocks. A plan (plan.h) says all that is to be done; there is no other state.
#include <pthread.h>
#include <stdlib.h>
#include "layers.h"
#include "losses.h"
#include "rules.h"

namespace {

constexpr int64_t CHUNK = 64;  // examples of a forward pass that go through all layers together
constexpr int64_t MOST_THREADS = 256;

constexpr int64_t AHEAD = 4;  // examples that are on their way to the cache while one is copied

template <class X> void swap(X& a, X& b) { const X c = a; a = b; b = c; }

// Memory of one thread, from a block that its next call finds again: fresh pages would cost more than a short call.
// Parts begin at different offsets in a page, so that reads side by side do not compete for the same places of the
// first-level cache. Nothing in them is zero.
class Arena {
public:
    template <class X> X* take(int64_t count) {
        const size_t bytes = (count * sizeof(X) + LINE - 1) / LINE * LINE + GAP;
        char* part = block + used;
        if (used + bytes > capacity) {
            if (posix_memalign(reinterpret_cast<void**>(&part), LINE, GAP + count * sizeof(X))) abort();
            *reinterpret_cast<char**>(part) = extra;  // parts outside of the block, one behind the other
            extra = part;
            part += GAP;
        }
        used += bytes;
#ifdef POISON  // for tests: whoever reads what nobody wrote gets NaN
        memset(part, 0xFF, count * sizeof(X));
#endif
        return reinterpret_cast<X*>(part);
    }

    ~Arena() {
        while (extra) {
            char* before = *reinterpret_cast<char**>(extra);
            free(extra);
            extra = before;
        }
#ifndef POISON
        if (used <= capacity || used > MOST) return;
        release();
        void* larger;
        if (!posix_memalign(&larger, LINE, used)) block = static_cast<char*>(larger), capacity = used;
#endif
    }

    // Gives back the thread's block.
    static void release() {
        free(block);
        block = nullptr, capacity = 0;
    }

private:
    static constexpr size_t GAP = 512, MOST = 1 << 25;  // bytes
    static thread_local char* block;
    static thread_local size_t capacity;
    size_t used = 0;
    char* extra = nullptr;
};

thread_local char* Arena::block = nullptr;
thread_local size_t Arena::capacity = 0;

template <class T> class Network {
public:
    Network(const Plan& plan, int64_t rows, bool training)
        : plan(plan), rows(rows), loss(plan, outputs_of(plan), arena.take<T>(outputs_of(plan) * W<T>)) {
        place_parameters(training);
        make_layers(training);
    }

    void train(int64_t member);
    void outputs(int64_t member, int64_t first, int64_t count);

private:
    const Plan& plan;
    const int64_t rows;
    Arena arena;
    Loss<T> loss;
    Segment* segments;
    Layer<T>* layers;
    int segment_count = 0, first_trained = 0;
    int64_t size = 0;  // of a padded row
    T *theta, *gradient = nullptr, *state1 = nullptr, *state2 = nullptr, *total = nullptr, *error[2] = {};
    Target<T>* target;
    Rows<T> examples;  // the minibatch, where the first layer reads it

    static int64_t outputs_of(const Plan& plan) { return plan.chain[plan.links - 1].outputs; }
    void place_parameters(bool training);
    void make_layers(bool training);
    void bind(int64_t member);
    void fetch(const void* rows_of_all, int64_t member, T* row) const;
    void bring(const T* row, void* rows_of_all, int64_t member) const;
    int64_t gather(int64_t member, int64_t position);
    Target<T> target_of(int64_t member, int64_t example) const;
    double backward(int64_t member, int64_t position, int64_t& examples);
    double average(int64_t member, int64_t step);
    void update(int64_t member, int64_t step);
    const double* hyper(int64_t member) const { return plan.hypers + member * HYPERS; }
};

template <class T> void Network<T>::place_parameters(bool training) {
    segments = arena.take<Segment>(2 * plan.links);
    const auto add = [&](int64_t start, int64_t in, int64_t out, bool is_weight) {
        segments[segment_count] = {start, size, in, out, is_weight};
        size += segments[segment_count++].template size<T>();
    };
    for (int i = 0; i < plan.links; i++) {
        const Link& link = plan.chain[i];
        const bool matrix = link.kind == LINEAR || link.kind == DROPCONNECT;
        if (link.weight >= 0) add(link.weight, matrix ? link.inputs : 1, link.kind == LEARNED_SLOPE ? 1 : link.outputs, matrix);
        if (link.bias >= 0) add(link.bias, 1, link.outputs, false);
    }
    theta = arena.take<T>(size);
    if (!training) return;
    gradient = arena.take<T>(size);
    if (plan.state1) state1 = arena.take<T>(size);
    if (plan.state2) state2 = arena.take<T>(size);
    if (plan.accumulate > 1) total = arena.take<T>(size);
}

template <class T> void Network<T>::make_layers(bool training) {
    int64_t widest = 0, matrix = 0;
    const auto signal = [&](int64_t features) {
        widest = most(widest, padded<T>(features));
        return Signal<T>{arena.take<T>(rows * padded<T>(features)), features, padded<T>(features)};
    };
    Signal<T> x = signal(plan.chain[0].inputs);
    memset(x.data, 0, rows * x.stride * sizeof(T));  // nobody writes its padding
    layers = arena.take<Layer<T>>(plan.links);
    const Segment* segment = segments;
    first_trained = plan.links;
    for (int i = 0; i < plan.links; i++) {
        const Link& link = plan.chain[i];
        Layer<T> layer{&link, x, signal(link.outputs)};
        if (link.weight >= 0) {
            layer.weight = theta + segment->place;
            layer.weight_bar = training ? gradient + segment->place : nullptr;
            segment++;
        }
        if (link.bias >= 0) {
            layer.bias = theta + segment->place;
            layer.bias_bar = training ? gradient + segment->place : nullptr;
            segment++;
        }
        if (link.weight >= 0) first_trained = least(first_trained, i);
        if (!layer.in_place()) matrix = most(matrix, link.outputs * padded<T>(link.inputs));
        if (link.kind == DROPOUT) layer.mask = arena.take<T>(rows * x.stride);
        if (link.kind == DROPCONNECT) {
            layer.mask = arena.take<T>(link.inputs * padded<T>(link.outputs));
            layer.masked = arena.take<T>(link.inputs * padded<T>(link.outputs));
        }
        if (link.kind == BATCH_NORM) {
            layer.normalised = arena.take<T>(rows * x.stride);
            layer.statistics = arena.take<T>(3 * x.stride);
        }
        x = layer.y;
        layers[i] = layer;
    }
    target = arena.take<Target<T>>(rows);
    if (!training) return;
    T* transposed = arena.take<T>(matrix);
    for (int i = 0; i < plan.links; i++) layers[i].transposed = transposed;
    if (layers[0].link->kind == LINEAR) layers[0].rows = &examples;
    for (T*& part : error) part = arena.take<T>(rows * widest);
}

template <class T> void Network<T>::bind(int64_t member) {
    for (int i = 0; i < plan.links; i++) {
        Layer<T>& layer = layers[i];
        const Link& link = *layer.link;
        if (link.p) layer.drop = static_cast<const T*>(link.p)[member];
        if (link.kind != BATCH_NORM) continue;
        layer.running_mean = static_cast<T*>(link.mean) + member * link.outputs;
        layer.running_variance = static_cast<T*>(link.variance) + member * link.outputs;
        layer.batches = link.batches + member;
    }
    fetch(plan.theta, member, theta);
}

template <class T> void Network<T>::fetch(const void* rows_of_all, int64_t member, T* row) const {
    const T* from = static_cast<const T*>(rows_of_all) + member * plan.parameters;
    for (const Segment* s = segments; s < segments + segment_count; s++) to_panels(s->in, s->out, from + s->start, row + s->place);
}

template <class T> void Network<T>::bring(const T* row, void* rows_of_all, int64_t member) const {
    T* to = static_cast<T*>(rows_of_all) + member * plan.parameters;
    for (const Segment* s = segments; s < segments + segment_count; s++) from_panels(s->in, s->out, row + s->place, to + s->start);
}

// Gives the minibatch to the first layer and to the loss; returns how many examples it has.
template <class T> int64_t Network<T>::gather(int64_t member, int64_t position) {
    const int64_t per_epoch = plan.batches_per_epoch, epoch = per_epoch > 1 ? position / per_epoch - plan.first_epoch : 0;
    const int64_t start = position % per_epoch * plan.batch_size;
    const int64_t n = least(plan.batch_size, plan.examples - start);
    const int64_t* order = plan.order[member] + epoch * plan.order_stride + start;
    const Signal<T>& x = layers[0].x;
    examples = {static_cast<const T*>(plan.inputs[member]), x.size, order, plan.examples - start};
    if (!layers[0].rows) copy_rows<AHEAD>(examples, 0, n, x.data, x.stride);
    for (int64_t i = 0; i < n; i++) target[i] = target_of(member, order[i]);
    return n;
}

template <class T> Target<T> Network<T>::target_of(int64_t member, int64_t example) const {
    if (plan.labels) return {static_cast<const int64_t*>(plan.labelled[member])[example], nullptr};
    return {0, static_cast<const T*>(plan.labelled[member]) + example * plan.targets};
}

// Mean loss of minibatch `position`; its gradient is then in `gradient`.
template <class T> double Network<T>::backward(int64_t member, int64_t position, int64_t& examples) {
    const int64_t n = examples = gather(member, position);
    for (int i = 0; i < plan.links; i++) {
        const int noise = layers[i].link->noise;
        const int64_t key = noise >= 0 ? noise_key(plan.noise_keys[member], position, noise) : 0;
        layers[i].forward(n, true, true, key, 0);
    }
    const Signal<T>& f = layers[plan.links - 1].y;
    T *e = error[0], *before = error[1];
    const double sum_of_losses = loss(n, f.data, f.stride, target, e);
    for (int i = plan.links - 1; i >= first_trained; i--) {
        layers[i].backward(n, e, before, i == first_trained);
        if (!layers[i].in_place()) swap(e, before);
    }
    return sum_of_losses / n;
}

// Mean loss and gradient of a step, averaged over the examples of all its minibatches.
template <class T> double Network<T>::average(int64_t member, int64_t step) {
    int64_t n;
    if (plan.accumulate == 1) return backward(member, step, n);
    const int64_t first = step / plan.steps_per_epoch * plan.batches_per_epoch + step % plan.steps_per_epoch * plan.accumulate;
    const int64_t last = least(first + plan.accumulate, (first / plan.batches_per_epoch + 1) * plan.batches_per_epoch);
    double losses = 0;
    int64_t examples = 0;
    memset(total, 0, size * sizeof(T));
    for (int64_t position = first; position < last; position++) {
        losses += backward(member, position, n) * n;
        for (int64_t i = 0; i < size; i += W<T>) store(total + i, load(total + i) + load(gradient + i) * T(n));
        examples += n;
    }
    for (int64_t i = 0; i < size; i += W<T>) store(gradient + i, load(total + i) / T(examples));
    return losses / examples;
}

template <class T> void Network<T>::update(int64_t member, int64_t step) {
    const double *h = hyper(member), rate = plan.rates[(step - plan.first_step) * plan.rate_of_step + member * plan.rate_of_member];
    clip(gradient, size, T(h[CLIP_VALUE]), T(h[CLIP_NORM]));
    const Move<T> move(plan.rule, h, rate, step + 1);
    const T decay = T(1 - rate * h[DECOUPLED]) * T(1 - rate * h[OPTIMIZER_DECAY]);
    for (const Segment* s = segments; s < segments + segment_count; s++) {
        update_by<T>(plan.rule, move, theta + s->place, gradient + s->place, state1 ? state1 + s->place : nullptr,
                     state2 ? state2 + s->place : nullptr,
                     s->template size<T>(), s->is_weight ? decay : T(1));
        if (s->is_weight && h[MAX_NORM] < INFINITY) project(theta + s->place, s->in, s->out, T(h[MAX_NORM]));
    }
}

template <class T> void Network<T>::train(int64_t member) {
    const FlushedToZero tiny;
    const double* h = hyper(member);
    const bool moves = plan.phases & UPDATE;
    bind(member);
    loss.smoothing = T(h[SMOOTHING]);
    if (moves && state1) fetch(plan.state1, member, state1);
    if (moves && state2) fetch(plan.state2, member, state2);
    if (!(plan.phases & GRADIENT)) fetch(plan.gradient, member, gradient);
    plan.ended[member] = -1;
    for (int64_t step = plan.first_step; step < plan.first_step + plan.steps; step++) {
        double& value = plan.losses[(step - plan.first_step) * plan.members + member];
        if (plan.phases & GRADIENT) value = T(average(member, step));
        if (!moves) continue;
        if (h[L2] != 0 || h[L1] != 0)
            for (const Segment* s = segments; s < segments + segment_count; s++)
                if (s->is_weight)
                    add_penalties(gradient + s->place, theta + s->place, s->template size<T>(), T(h[L2]), T(h[L1]));
        if (__builtin_isfinite(value) && is_finite(gradient, size)) {
            update(member, step);
        } else if (plan.skip) {
            plan.skipped[member]++;
        } else {
            plan.ended[member] = step;
            break;
        }
    }
    if (!moves || plan.ended[member] >= 0) bring(gradient, plan.gradient, member);
    if (!moves) return;
    bring(theta, plan.theta, member);
    if (state1) bring(state1, plan.state1, member);
    if (state2) bring(state2, plan.state2, member);
}

template <class T> void Network<T>::outputs(int64_t member, int64_t first, int64_t count) {
    bind(member);
    const Signal<T>& f = layers[plan.links - 1].y;
    Signal<T>& x = layers[0].x;
    const bool in_place = layers[0].link->kind == LINEAR;  // products read no padding
    T* to = static_cast<T*>(plan.outputs) + (member * plan.count) * f.size;
    T* losses = plan.example_losses ? static_cast<T*>(plan.example_losses) + member * plan.count : nullptr;
    if (losses) loss.smoothing = T(plan.smoothings[member]);
    for (int64_t start = first; start < first + count; start += rows) {
        const int64_t n = least(rows, first + count - start);
        const T* inputs = static_cast<const T*>(plan.inputs[member]) + start * x.size;
        if (in_place) x = {const_cast<T*>(inputs), x.size, x.size};
        else for (int64_t i = 0; i < n; i++) memcpy(x.data + i * x.stride, inputs + i * x.size, x.size * sizeof(T));
        for (int i = 0; i < plan.links; i++) {
            const int noise = plan.pass_keys ? layers[i].link->noise : -1;
            const int64_t key = noise >= 0 ? plan.pass_keys[noise * plan.members + member] : -1;
            layers[i].forward(n, false, key >= 0, key, start);
        }
        if (losses) {
            for (int64_t i = 0; i < n; i++) target[i] = target_of(member, start + i);
            loss.probabilities(n, f.data, f.stride, target, losses + start, to + start * f.size);
        } else {
            for (int64_t i = 0; i < n; i++) memcpy(to + (start + i) * f.size, f.data + i * f.stride, f.size * sizeof(T));
        }
    }
}

// Calls work(network, 0), ..., work(network, count - 1), each thread with a network of its own.
template <class T, class Work> class Shared {
public:
    Shared(const Plan& plan, int64_t rows, bool training, int64_t count, Work work)
        : plan(plan), rows(rows), training(training), count(count), work(work) {}

    void run() {
        const int64_t wanted = least(least(plan.threads, count), MOST_THREADS);
        pthread_t others[MOST_THREADS];
        int64_t started = 1;
        while (started < wanted && !pthread_create(&others[started], nullptr, begin, this)) started++;
        do_pieces();
        while (--started > 0) pthread_join(others[started], nullptr);
    }

private:
    const Plan& plan;
    const int64_t rows;
    const bool training;
    const int64_t count;
    Work work;
    int64_t next = 0;

    static void* begin(void* argument) {
        static_cast<Shared*>(argument)->do_pieces();
        Arena::release();
        return nullptr;
    }

    void do_pieces() {
        Network<T> network(plan, rows, training);
        for (int64_t i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < count;) work(network, i);
    }
};

template <class T, class Work> void share(const Plan& plan, int64_t rows, bool training, int64_t count, Work work) {
    Shared<T, Work>(plan, rows, training, count, work).run();
}

template <class T> void train(const Plan& plan) {
    share<T>(plan, plan.batch_size, true, plan.members, [](Network<T>& network, int64_t i) { network.train(i); });
}

template <class T> void outputs(const Plan& plan) {
    const int64_t pieces = least((plan.count + CHUNK - 1) / CHUNK, most(1, plan.threads / plan.members));
    const int64_t each = (plan.count + pieces - 1) / pieces;
    share<T>(plan, least(CHUNK, plan.count), false, plan.members * pieces, [&](Network<T>& network, int64_t i) {
        const int64_t first = i % pieces * each;
        network.outputs(i / pieces, first, most(0, least(each, plan.count - first)));
    });
}

}  // namespace

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

// The size of a plan, by which Python knows that both sides mean the same.
EXPORTED int64_t nnlab_plan_size() { return sizeof(Plan); }
EXPORTED int64_t nnlab_link_size() { return sizeof(Link); }

// Does the steps of a plan.
EXPORTED void nnlab_train(const Plan* plan) { plan->is_double ? train<double>(*plan) : train<float>(*plan); }

// Does a forward pass of all members.
EXPORTED void nnlab_outputs(const Plan* plan) { plan->is_double ? outputs<double>(*plan) : outputs<float>(*plan); }

}
