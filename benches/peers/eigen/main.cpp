// Cells written on Eigen with sizes that the compiler knows, as RTNeural's compile-time models are: a gate matrix over the input, the state and a 1 for
// the bias, and Eigen's vectorized logistic function and tanh. The conversation over standard input and output is that of peer/src/lib.rs, and `version`.

#define EIGEN_STACK_ALLOCATION_LIMIT 0
#include <Eigen/Dense>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

constexpr int SAMPLES = 64;

template <int Rows, int Columns> using Matrix = Eigen::Matrix<float, Rows, Columns>;
template <int Rows> using Vector = Eigen::Matrix<float, Rows, 1>;

// The tensors of a layer, one after the other, as PyTorch stacks them.
struct Layer {
    std::vector<float> values;
    std::size_t at = 0;

    Layer(const std::string &path) {
        std::ifstream file(path, std::ios::binary | std::ios::ate);
        if (!file) throw std::runtime_error(path + ": cannot be read");
        values.resize(static_cast<std::size_t>(file.tellg()) / sizeof(float));
        file.seekg(0);
        file.read(reinterpret_cast<char *>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
    }

    // Rows one after the other, into some columns of a matrix.
    template <typename Block> void take(Block &&block) {
        if (at + static_cast<std::size_t>(block.size()) > values.size()) throw std::runtime_error("the layer is too short");
        for (Eigen::Index row = 0; row < block.rows(); row++)
            for (Eigen::Index column = 0; column < block.cols(); column++) block(row, column) = values[at++];
    }
};

struct Net {
    virtual ~Net() = default;
    virtual void reset() = 0;
    virtual double time(int steps) = 0;
    virtual std::vector<float> outputs() = 0;
};

template <typename Cell, int I, int H> struct Of final : Net {
    EIGEN_MAKE_ALIGNED_OPERATOR_NEW
    Cell cell;
    std::vector<float> samples;

    Of(Layer &layer) : cell(layer) {
        samples.assign(layer.values.begin() + static_cast<std::ptrdiff_t>(layer.at), layer.values.end());
        if (samples.size() != SAMPLES * I) throw std::runtime_error("the layer has other samples");
    }
    void reset() override { cell.reset(); }
    void step(int sample) { cell.step(Eigen::Map<const Vector<I>>(samples.data() + sample * I)); }
    double time(int steps) override {
        auto start = std::chrono::steady_clock::now();
        for (int number = 0; number < steps; number++) step(number % SAMPLES);
        std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
        return took.count() / steps;
    }
    std::vector<float> outputs() override {
        reset();
        for (int sample = 0; sample < SAMPLES; sample++) step(sample);
        Vector<H> h = cell.h();
        return {h.data(), h.data() + H};
    }
};

// One product over the input, the state and the 1, with both biases in one.
template <int Rows, int I, int H> struct Joined {
    Matrix<Rows, I + H + 1> w;
    Vector<I + H + 1> joined;
    Vector<Rows> z;

    Joined(Layer &layer) {
        Vector<Rows> bias;
        layer.take(w.template leftCols<I>());
        layer.take(w.template middleCols<H>(I));
        layer.take(w.template rightCols<1>());
        layer.take(bias);
        w.template rightCols<1>() += bias;
        reset();
    }
    void reset() {
        joined.setZero();
        joined(I + H) = 1;
    }
    auto h() const { return joined.template segment<H>(I); }
    template <typename X> void product(const X &x) {
        joined.template head<I>() = x;
        z.noalias() = w * joined;
    }
};

template <int I, int H> struct Lstm : Joined<4 * H, I, H> {
    using Base = Joined<4 * H, I, H>;
    using Base::joined, Base::z;
    Vector<H> c;

    Lstm(Layer &layer) : Base(layer) { c.setZero(); }
    void reset() {
        Base::reset();
        c.setZero();
    }
    template <typename X> void step(const X &x) {
        Base::product(x);
        auto i = z.template segment<H>(0).array().logistic(), f = z.template segment<H>(H).array().logistic();
        auto g = z.template segment<H>(2 * H).array().tanh();
        auto o = z.template segment<H>(3 * H).array().logistic();
        c = f * c.array() + i * g;
        joined.template segment<H>(I) = o * c.array().tanh();
    }
};

template <int I, int H> struct Gru {
    Matrix<3 * H, I + 1> w_ih;
    Matrix<3 * H, H + 1> w_hh;
    Vector<I + 1> x1;
    Vector<H + 1> h1;
    Vector<3 * H> zx, zh;

    Gru(Layer &layer) {
        layer.take(w_ih.template leftCols<I>());
        layer.take(w_hh.template leftCols<H>());
        layer.take(w_ih.template rightCols<1>());
        layer.take(w_hh.template rightCols<1>());
        reset();
    }
    void reset() {
        x1(I) = 1;
        h1.setZero();
        h1(H) = 1;
    }
    auto h() const { return h1.template head<H>(); }
    template <typename X> void step(const X &x) {
        x1.template head<I>() = x;
        zx.noalias() = w_ih * x1;
        zh.noalias() = w_hh * h1;
        auto r = (zx.template head<H>() + zh.template head<H>()).array().logistic();
        Vector<H> z = (zx.template segment<H>(H) + zh.template segment<H>(H)).array().logistic();
        Vector<H> n = (zx.template tail<H>().array() + r * zh.template tail<H>().array()).tanh();
        h1.template head<H>() = n.array() + z.array() * (h1.template head<H>() - n).array();
    }
};

template <int I, int H> struct Rnn : Joined<H, I, H> {
    using Base = Joined<H, I, H>;
    using Base::Base, Base::joined, Base::z;

    template <typename X> void step(const X &x) {
        Base::product(x);
        joined.template segment<H>(I) = z.array().tanh();
    }
};

template <int I, int H> std::unique_ptr<Net> of_size(const std::string &cell, Layer &layer) {
    if (cell == "lstm") return std::make_unique<Of<Lstm<I, H>, I, H>>(layer);
    if (cell == "gru") return std::make_unique<Of<Gru<I, H>, I, H>>(layer);
    return std::make_unique<Of<Rnn<I, H>, I, H>>(layer);
}

std::unique_ptr<Net> open(const std::string &folder, const std::string &cell, int inputs, int hidden) {
    Layer layer(folder + "/" + cell + "-" + std::to_string(inputs) + "x" + std::to_string(hidden) + ".f32");
    auto is = [&](int i, int h) { return inputs == i && hidden == h; };
    if (is(1, 8)) return of_size<1, 8>(cell, layer);
    if (is(3, 16)) return of_size<3, 16>(cell, layer);
    if (is(7, 32)) return of_size<7, 32>(cell, layer);
    if (is(6, 64)) return of_size<6, 64>(cell, layer);
    if (is(16, 64)) return of_size<16, 64>(cell, layer);
    if (is(64, 128)) return of_size<64, 128>(cell, layer);
    if (is(64, 256)) return of_size<64, 256>(cell, layer);
    if (is(128, 512)) return of_size<128, 512>(cell, layer);
    throw std::runtime_error("no such size was compiled in");
}

int main(int count, char **arguments) {
    if (count < 2) return std::fputs("which folder?\n", stderr), 2;
    std::unique_ptr<Net> net;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string verb, name;
        words >> verb >> name;
        try {
            if (verb == "version") {
                std::cout << EIGEN_WORLD_VERSION << '.' << EIGEN_MAJOR_VERSION << '.' << EIGEN_MINOR_VERSION << " by " << __VERSION__;
            } else if (verb == "open") {
                int inputs = 0, hidden = 0;
                words >> inputs >> hidden;
                net = open(arguments[1], name, inputs, hidden);
                std::cout << "f32";
            } else if (verb == "outputs" && net) {
                for (float value : net->outputs()) std::cout << value << ' ';
            } else if (verb == "time" && net) {
                int steps = 0;
                words >> steps;
                std::cout << net->time(steps);
            } else {
                throw std::runtime_error("not understood: " + line);
            }
        } catch (const std::exception &error) {
            std::cout << "error " << error.what();
        }
        std::cout << std::endl;
    }
}
