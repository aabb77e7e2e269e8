// An epoch with libtorch's operators and backpropagation by hand: no autograd, no Python.
//
// Parameters lie in one tensor, weights first, so that the optimizer is one fused call.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <string>
#include <vector>

using at::Tensor;
using std::vector;

namespace {

struct Net {
    vector<int64_t> sizes;
    std::string activation, loss;
    bool adam;
    int64_t batch;
    double alpha, rate, momentum, beta_1, beta_2, epsilon;
    Tensor X, y, params, grads, first, second, t, weights, weight_grads;
    vector<Tensor> W, b, dW, db;
    bool begun = false;

    double step(const Tensor& rows) {
        int64_t layers = W.size(), n = rows.size(0);
        Tensor x = X.index_select(0, rows), target = y.index_select(0, rows), delta;
        vector<Tensor> a{x};
        for (int64_t i = 0; i < layers; i++) {
            Tensor z = at::addmm(b[i], a[i], W[i]);
            if (i < layers - 1) {
                if (activation == "relu") z.relu_();
                else if (activation == "tanh") z.tanh_();
                else if (activation == "logistic") z.sigmoid_();
            }
            a.push_back(z);
        }
        double total;
        Tensor raw = a.back();
        if (loss == "multinomial") {
            Tensor column = target.unsqueeze(1), logs = at::log_softmax(raw, 1);
            total = -logs.gather(1, column).sum().item<double>();
            delta = logs.exp_();
            delta.scatter_add_(1, column, at::full_like(column, -1, delta.options()));
        } else if (loss == "logistic") {
            Tensor column = target.unsqueeze(1);
            total = at::binary_cross_entropy_with_logits(raw, column, {}, {}, at::Reduction::Sum)
                        .item<double>();
            delta = at::sigmoid(raw).sub_(column);
        } else {
            delta = raw - target.unsqueeze(1);
            total = 0.5 * delta.square().sum().item<double>();
        }
        delta.div_(n);
        for (int64_t i = layers - 1; i >= 0; i--) {
            at::mm_out(dW[i], a[i].t(), delta);
            at::sum_out(db[i], delta, 0);
            if (i == 0) break;
            delta = delta.mm(W[i].t());
            if (activation == "relu") delta = at::threshold_backward(delta, a[i], 0);
            else if (activation == "tanh") delta = at::tanh_backward(delta, a[i]);
            else if (activation == "logistic") delta = at::sigmoid_backward(delta, a[i]);
        }
        weight_grads.add_(weights, alpha / n);
        if (adam) {
            t.add_(1);
            at::_fused_adam_({params}, {grads}, {first}, {second}, {}, {t}, rate, beta_1, beta_2,
                             0.0, epsilon, false, false);
        } else {
            at::_fused_sgd_({params}, {grads}, {first}, 0.0, momentum, rate, 0.0, true, false,
                            !begun);
        }
        begun = true;
        return total;
    }
};

}  // namespace

extern "C" {

Net* make(const int64_t* sizes, int64_t layers, const char* activation, const char* loss,
          int64_t adam, int64_t batch, int64_t doubles, int64_t n, void* X, void* y,
          const double* constants, int64_t threads) {
    c10::InferenceMode guard;
    if (threads) at::set_num_threads(threads);
    auto type = at::dtype(doubles ? at::kDouble : at::kFloat);
    Net* net = new Net{{sizes, sizes + layers + 1}, activation, loss, adam != 0, batch};
    net->alpha = constants[0], net->rate = constants[1], net->momentum = constants[2];
    net->beta_1 = constants[3], net->beta_2 = constants[4], net->epsilon = constants[5];
    net->X = at::from_blob(X, {n, sizes[0]}, type);
    net->y = at::from_blob(y, {n}, net->loss == "multinomial" ? at::dtype(at::kLong) : type);
    int64_t in_weights = 0, size = 0;
    for (int64_t i = 0; i < layers; i++) in_weights += sizes[i] * sizes[i + 1], size += sizes[i + 1];
    size += in_weights;
    for (Tensor* each : {&net->params, &net->grads, &net->first, &net->second})
        *each = at::zeros({size}, type);
    net->t = at::zeros({}, at::dtype(at::kFloat));
    net->weights = net->params.narrow(0, 0, in_weights);
    net->weight_grads = net->grads.narrow(0, 0, in_weights);
    int64_t w = 0, b = in_weights;
    for (int64_t i = 0; i < layers; w += sizes[i] * sizes[i + 1], b += sizes[++i]) {
        vector<int64_t> shape{sizes[i], sizes[i + 1]};
        net->W.push_back(net->params.narrow(0, w, shape[0] * shape[1]).view(shape));
        net->dW.push_back(net->grads.narrow(0, w, shape[0] * shape[1]).view(shape));
        net->b.push_back(net->params.narrow(0, b, shape[1]));
        net->db.push_back(net->grads.narrow(0, b, shape[1]));
    }
    return net;
}

// Begin anew with these parameters: the weights of all layers, then their biases.
void start(Net* net, void* params) {
    c10::InferenceMode guard;
    net->params.copy_(at::from_blob(params, net->params.sizes(), net->params.options()));
    for (Tensor* each : {&net->first, &net->second, &net->t}) each->zero_();
    net->begun = false;
}

// An epoch in this order, and the mean loss; NaN after an error.
double epoch(Net* net, int64_t* order) {
    c10::InferenceMode guard;
    try {
        int64_t n = net->X.size(0);
        Tensor all = at::from_blob(order, {n}, at::dtype(at::kLong));
        double total = 0;
        for (int64_t i = 0; i < n; i += net->batch)
            total += net->step(all.narrow(0, i, std::min(net->batch, n - i)));
        return total / n;
    } catch (const std::exception& error) {
        fprintf(stderr, "%s\n", error.what());
        return NAN;
    }
}
}
