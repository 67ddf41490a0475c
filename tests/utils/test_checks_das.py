"""The checks of notebook 2: right solutions pass, and each wrong one is told what is wrong with it."""
import copy

import numpy as np
import torch

import pytest
from exercise_checks import checks_of, define_tests

from utils.checks import das
from utils.interventions.rotated_space import CNNConfig, pv
from utils.model_utils import LAYER_SIZES

pytestmark = pytest.mark.slow("a check runs each of many solutions on many cases")

CHECKS = checks_of(das)
KEPT = []  # of a learner's own

def swap(model, layer, X_base, X_source, keep_hook=False, mode=None, replace=lambda kept, out: kept, put_at=None):
    kept = {}

    def keep(module, args, output):
        kept["source"] = output

    def put(module, args, output):
        return replace(kept["source"], output)

    if mode is not None:
        model.train(mode)
    module = getattr(model, layer)
    handle = module.register_forward_hook(keep)
    model(X_source)
    handle.remove()
    handle = getattr(model, put_at or layer).register_forward_hook(put)
    answer = model(X_base)
    if not keep_hook:
        handle.remove()
    return answer


def previous(layer):
    names = list(LAYER_SIZES)
    return names[names.index(layer) - 1]


def swap_by_replacing_forward(model, layer, X_base, X_source, put_back=False):
    module, kept = getattr(model, layer), []
    old = module.forward
    module.forward = lambda x: kept.append(old(x)) or kept[0]
    model(X_source)
    answer = model(X_base)
    if put_back:
        del module.forward
    return answer


def swap_by_pyvene(model, layer, X_base, X_source):
    model.config = CNNConfig()
    config = pv.IntervenableConfig([{"component": f"{layer}.output"}], pv.VanillaIntervention)
    return pv.IntervenableModel(config, model)({"x": X_base}, [{"x": X_source}])[1]


def swap_input(model, layer, X_base, X_source):
    kept, module = [], getattr(model, layer)
    handle = module.register_forward_pre_hook(lambda m, args: kept.append(args))
    model(X_source)
    handle.remove()
    handle = module.register_forward_pre_hook(lambda m, args: kept[0])
    answer = model(X_base)
    handle.remove()
    return answer


def swap_all_layers(model, layer, X_base, X_source):
    kept, handles = {}, []
    for name in LAYER_SIZES:
        handles.append(getattr(model, name).register_forward_hook(lambda m, a, out, name=name: kept.update({name:
            out})))
    model(X_source)
    for handle in handles:
        handle.remove()
    handles = [getattr(model, name).register_forward_hook(lambda m, a, out, name=name: kept[name]) for name in
        LAYER_SIZES]
    answer = model(X_base)
    for handle in handles:
        handle.remove()
    return answer


def swap_with_global_list(model, layer, X_base, X_source):
    module = getattr(model, layer)
    handle = module.register_forward_hook(lambda m, a, out: KEPT.append(out))
    model(X_source)
    handle.remove()
    handle = module.register_forward_hook(lambda m, a, out: KEPT[0])
    answer = model(X_base)
    handle.remove()
    return answer


def swap_and_keep_both(model, layer, X_base, X_source):
    kept, module = [], getattr(model, layer)
    module.register_forward_hook(lambda m, a, out: kept.append(out))
    model(X_source)
    handle2 = module.register_forward_hook(lambda m, a, out: kept[0])
    answer = model(X_base)
    handle2.remove()
    return answer


def swap_without_grad_forever(*args):
    torch.set_grad_enabled(False)
    return swap(*args)


def swap_and_freeze(model, *args):
    answer = swap(model, *args)
    model.requires_grad_(False)
    return answer


def swap_and_change(model, *args):
    answer = swap(model, *args)
    with torch.no_grad():
        model.fc2.bias.zero_()
    return answer


def swap_in_one_batch(model, layer, X_base, X_source):
    n = len(X_base)
    handle = getattr(model, layer).register_forward_hook(lambda m, a, out: torch.cat([out[n:], out[n:]]))
    try:
        return model(torch.cat([X_base, X_source]))[:n]
    finally:
        handle.remove()


def swap_with_copy(model, layer, X_base, X_source):
    model, kept = copy.deepcopy(model), []
    getattr(model, layer).register_forward_hook(lambda m, a, out: kept.append(out.clone()) or kept[0])
    model(X_source)
    return model(X_base).detach()


@torch.inference_mode()
def swap_by_class(model, layer, X_base, X_source):
    class Keep:
        def __call__(self, module, inputs, output):
            self.output = output

    keep = Keep()
    with getattr(model, layer).register_forward_hook(keep):
        model(X_source)
    with getattr(model, layer).register_forward_hook(lambda *args: keep.output.clone()):
        return model(X_base).clone()


def wrap(component, kind=pv.VanillaIntervention, number=1, whole=True, config=True, **more):
    def make(model, layer):
        if config:
            model.config = CNNConfig()
        made = pv.IntervenableConfig([{"component": component(layer), **more} for _ in range(number)], kind)
        return pv.IntervenableModel(made, model) if whole else made

    return make


def output_of(layer):
    return f"{layer}.output"


def wrap_copy(model, layer):
    return wrap(output_of)(copy.deepcopy(model), layer)


def wrap_and_change(model, layer):
    with torch.no_grad():
        model.fc2.weight.mul_(2)
    return wrap(output_of)(model, layer)


def wrap_swapped(model, layer):
    config = pv.IntervenableConfig([{"component": output_of(layer)}], pv.VanillaIntervention)
    return pv.IntervenableModel(model, config)


def wrap_all(model, layer):
    model.config = CNNConfig()
    return pv.IntervenableModel(pv.IntervenableConfig([{"component": output_of(x)} for x in LAYER_SIZES],
                                                      pv.VanillaIntervention), model)


def wrap_by_dict(model, layer):
    return pv.IntervenableModel({"component": output_of(layer), "intervention_type": pv.VanillaIntervention}, model)


def wrap_by_names(model, layer):
    part = pv.RepresentationConfig(component=layer + ".output")
    return pv.IntervenableModel(model=model, config=pv.IntervenableConfig(
        representations=[part], intervention_types=[pv.VanillaIntervention]))


def wrap_with_wrong_argument(model, layer):
    return pv.IntervenableConfig(component=f"{layer}.output", intervention=pv.VanillaIntervention)


def gram_schmidt(weight):
    columns = []
    for column in weight.unbind(1):
        for q in columns:
            column = column - (q @ column) * q
        columns.append(column / column.norm())
    return torch.stack(columns, 1)


def by_cholesky(weight):
    return torch.linalg.solve_triangular(torch.linalg.cholesky(weight.T @ weight).T, weight, upper=True, left=False)


def by_square_root(weight):
    values, vectors = torch.linalg.eigh(weight.T @ weight)
    return weight @ vectors @ torch.diag(values**-0.5) @ vectors.T


def overwrites(weight):
    with torch.no_grad():
        weight.copy_(torch.linalg.qr(torch.randn_like(weight))[0])
    return torch.linalg.qr(weight)[0]


def normalizes_in_place(weight):
    with torch.no_grad():
        weight /= weight.norm(dim=0)
    return torch.linalg.qr(weight)[0]


def straight_through(weight):
    return torch.linalg.qr(weight.detach())[0] + weight - weight.detach()


def first_column_detached(weight):
    Q = torch.linalg.qr(weight)[0]
    return torch.cat([Q[:, :1].detach(), Q[:, 1:]], 1)


def gram_schmidt_without_norm(weight):
    columns = []
    for column in weight.unbind(1):
        for q in columns:
            column = column - (q @ column) / (q @ q) * q
        columns.append(column)
    return torch.stack(columns, 1)


def gram_schmidt_against_the_first(weight):
    first = weight[:, 0] / weight[:, 0].norm()
    rest = [c - (first @ c) * first for c in weight.unbind(1)[1:]]
    return torch.stack([first] + [c / c.norm() for c in rest], 1)


def qr_with_grad_off(weight):
    torch.set_grad_enabled(False)
    return torch.linalg.qr(weight)[0]


RIGHT = {
    "check_swap_layer": [
        swap, swap_in_one_batch, swap_with_copy, swap_by_class, lambda *a: swap_by_replacing_forward(*a, put_back=True),
        torch.no_grad()(swap), swap_input, lambda *a: swap(*a).detach().numpy(),
    ],
    "check_make_intervenable": [wrap(output_of), wrap_by_dict, wrap_by_names, wrap_copy, wrap(output_of, unit="pos")],
    "check_rotated_swap": [
        lambda b, s, Q: b + (s - b) @ Q @ Q.T, lambda b, s, Q: b - (b @ Q) @ Q.t() + s @ Q @ Q.t(),
        lambda b, s, Q: (b + (s - b) @ Q @ Q.T).numpy(),
        lambda b, s, Q: b + sum(((s - b) @ q)[:, None] * q for q in Q.T), lambda b, s, Q: (b.T + Q @ (Q.T @ (s -
            b).T)).T,
    ],
    "check_orthonormal_directions": [
        lambda w: torch.linalg.qr(w)[0], gram_schmidt, lambda w: torch.linalg.svd(w, full_matrices=False)[0],
            by_cholesky,
        by_square_root, lambda w: -torch.linalg.qr(w, mode="reduced").Q, lambda w:
            torch.linalg.qr(w.double())[0].float(),
    ],
}

WRONG = {
    "check_swap_layer": [
        (lambda m, layer, b, s: m(b), "Nothing has changed, this is the answer to"),
        (lambda *args: swap(*args, replace=lambda kept, out: None), "Nothing has changed, this is the answer to"),
        (lambda m, layer, b, s: swap(m, layer, s, b), "Base and source are swapped. run X_base,"),
        (lambda *args: swap(*args, keep_hook=True), "A hook stays on the model after your"),
        (lambda m, layer, b, s: swap(m, "conv1", b, s), "The hook sits on conv1, whatever is asked"),
        (lambda m, layer, b, s: swap(m, "fc1", b, s), "The hook sits on fc1, whatever is asked"),
        (lambda m, layer, b, s: swap(m, previous(layer), b, s), "The hook sits on the layer before the one"),
        (lambda *args: swap(*args, mode=False), "Your function leaves the model in another"),
        (lambda *args: swap(*args, mode=True), "Your function leaves the model in another"),
        (lambda m, layer, b, s: m(s), "This is the answer to X_source alone. run"),
        (lambda *args: swap(*args).sigmoid(), "These are probabilities. return the logits,"),
        (lambda *args: 0.5 * swap(*args), "This is half the right"),
        (lambda *args: swap(*args).squeeze(1), "Your result has shape .3,.. the logits are"),
        (lambda *args: swap(*args).mean(), "Your result has shape .., with 3 pairs. the"),
        (lambda *args: (swap(*args) > 0).float(), "These are truth values. return the numbers"),
        (lambda *args: -swap(*args), "The sign is"),
        (lambda m, layer, b, s: swap(m, layer, b, s) - m(b), "This is the change of the answer. return"),
        (lambda *args: swap(*args, replace=lambda kept, out: kept.relu()), "A ReLU is taken of the source's output"),
        (lambda *args: swap(*args, replace=lambda kept, out: kept + out),
         "The source's output is added to the base's."),
        (lambda *args: swap(*args, replace=lambda kept, out: (kept + out) / 2),
         "The mean of both outputs is put in place."),
        (lambda *args: swap(*args, replace=lambda kept, out: kept - out), "The difference of the outputs is put in"),
        (lambda *args: swap(*args, replace=lambda kept, out: 0 * out), "Zeros are put in place. the source's output"),
        (lambda *args: swap(*args, replace=lambda kept, out: kept[:1].expand_as(out)),
         "The output of the first source is put into"),
        (lambda *args: swap(*args, replace=lambda kept, out: kept.flip(0)), "The sources are in reverse order. row i"),
        (lambda *args: swap(*args, replace=lambda kept, out: kept.mean(0, keepdim=True).expand_as(out)),
         "The mean of all sources' outputs is put in"),
        (lambda *args: swap(*args, replace=lambda kept, out: kept.sigmoid()),
         "A sigmoid is taken of the source's output"),
        (lambda *args: swap(*args, put_at="conv1"), "RuntimeError.*layer, and is it the output, whole."),
        (lambda *args: swap(*args, put_at="fc2"), "RuntimeError.*layer, and is it the output, whole."),
        (swap_all_layers, "The hook sits on conv1, whatever is asked"),
        (swap_by_replacing_forward, "The forward of conv2 stays replaced after"),
        (swap_by_pyvene, "KeyError.*pyvene comes in the next exercise."),
        (swap_with_global_list, "RuntimeError.*layer, and is it the output, whole."),
        (swap_and_keep_both, "A hook stays on the model after your"),
        (swap_without_grad_forever, "Your function changes torch's gradient"),
        (swap_and_freeze, "Your function changes which weights get a"),
        (swap_and_change, "Your function changes the weights of the"),
        (lambda *args: (swap(*args), None), "Your function returned a tuple that holds"),
        (lambda *args: None, "Your function returned None. did you forget"),
        (lambda m, layer, b, s: m.layer, "AttributeError.*getattr.model, layer. is the module."),
        (lambda m, layer, b, s: swap(m, layer, b, s[0]), "RuntimeError.*layer, and is it the output, whole."),
        (lambda m, layer, b, s: swap(m, layer, b.mul_(1.0), s.mul_(0.5)), "Your function changes its argument"),
        (lambda m, layer, b, s: swap(m, layer, b + s, s), "The base is changed before it is run. run"),
        (lambda m, layer, b, s: torch.cat([swap(m, layer, b, s), m(s)]), "Your result has shape .6, 1., with 3 pairs."),
        (lambda m, layer, b, s: getattr(m, layer)(s), "RuntimeError.*has another shape than the layer"),
        (lambda *args: swap(*args).softmax(1), "A softmax over one logit is 1"),
        (lambda *args: swap(*args).argmax(1, keepdim=True), "The largest of one logit is number 0"),
        (lambda *args: swap(*args, replace=lambda s, b: s.tanh()), "a function of the source's output, like a tanh"),
        (lambda *args: swap(*args, replace=lambda s, b: s.mean() + 0 * s),
        "The mean of the source's output is put in place"),
        (lambda *args: swap(*args, replace=lambda s, b: s / s.norm()),
        "divided by its length, or by its largest value"),
        (lambda *args: swap(*args, replace=lambda s, b: torch.where(s > 0, s, b)),
        "Only where the source's output is above 0"),
    ],
    "check_make_intervenable": [
        (wrap(lambda layer: "conv1.output"), "The component is 'conv1.output'."),
        (wrap(lambda layer: "fc1.output"), "The component is 'fc1.output'."),
        (wrap(lambda layer: f"{layer}.input"), "This is the layer's input. the component is"),
        (wrap(lambda layer: layer), "AttributeError.*is the class pv.VanillaIntervention."),
        (wrap(lambda layer: "layer.output"), "AttributeError.*is the class pv.VanillaIntervention."),
        (wrap(lambda layer: f"{layer}_output"), "AttributeError.*is the class pv.VanillaIntervention."),
        (wrap(lambda layer: "block_output"), "AttributeError.*is the class pv.VanillaIntervention."),
        (wrap(lambda layer: f"model.{layer}.output"), "AttributeError.*is the class pv.VanillaIntervention."),
        (wrap(lambda layer: f"{previous(layer)}.output"), "The component is 'conv3.output'."),
        (wrap(lambda layer: f"{layer}.weight"), "UnboundLocalError.*ends with .output. f..layer..output.."),
        (wrap(output_of, pv.AdditionIntervention), "The intervention is AdditionIntervention."),
        (wrap(output_of, pv.SubtractionIntervention), "The intervention is"),
        (wrap(output_of, pv.ZeroIntervention), "The intervention is ZeroIntervention. to"),
        (wrap(output_of, pv.CollectIntervention), "The intervention is CollectIntervention. to"),
        (wrap(output_of, pv.RotatedSpaceIntervention), "Your function draws or seeds random numbers"),
        (wrap(output_of, pv.LowRankRotatedSpaceIntervention, low_rank_dimension=1),
         "Your function draws or seeds random numbers"),
        (wrap(output_of, pv.NoiseIntervention), "The intervention is NoiseIntervention. to"),
        (wrap(output_of, "VanillaIntervention"), "TypeError.*pv.VanillaIntervention, without quotes."),
        (wrap(output_of, None), "TypeError.*is the class pv.VanillaIntervention."),
        (wrap(output_of, number=2), "There are 2 representations. one is"),
        (wrap(output_of, number=0), "There is no intervention."),
        (wrap(output_of, whole=False), "This is the configuration. return"),
        (lambda model, layer: model, "A pyvene IntervenableModel was expected,"),
        (lambda model, layer: getattr(model, layer), "A pyvene IntervenableModel was expected,"),
        (wrap_all, "There are 4 representations. one is"),
        (wrap_and_change, "Your function changes the weights of the"),
        (wrap_swapped, "AttributeError.*pv.IntervenableModel.config, model.."),
        (wrap_with_wrong_argument, "This is the configuration. return"),
        (lambda model, layer: pv.VanillaIntervention(embed_dim=3), "A pyvene IntervenableModel was expected,"),
        (lambda model, layer: [wrap(output_of)(model, layer)], "A pyvene IntervenableModel was expected,"),
        (lambda model, layer: pv.IntervenableModel(output_of(layer), model),
         "AttributeError.*pv.IntervenableModel.config, model.."),
        (lambda model, layer: (wrap(output_of)(model, layer), torch.set_grad_enabled(False))[0],
         "Your function changes torch's gradient"),
        (lambda model, layer: None, "Your function returned None. did you forget"),
    ],
    "check_rotated_swap": [
        (lambda b, s, Q: b + (s - b) @ Q @ Q.T / Q.shape[1], "divided by the number of directions"),
        (lambda b, s, Q: s + (b - s) @ Q @ Q.T, "Base and source are swapped. the base keeps"),
        (lambda b, s, Q: s @ Q @ Q.T, "What is orthogonal to Q is lost. add the"),
        (lambda b, s, Q: (s - b) @ Q @ Q.T, "What is orthogonal to Q is lost. add the"),
        (lambda b, s, Q: s @ Q, "These are coordinates .n, k.. rotate back"),
        (lambda b, s, Q: (s - b) @ Q, "These are coordinates .n, k.. rotate back"),
        (lambda b, s, Q: s, "This is the whole h_source. only its"),
        (lambda b, s, Q: b, "This is h_base. nothing has been"),
        (lambda b, s, Q: b + s @ Q @ Q.T, "The base's own coordinates are still there."),
        (lambda b, s, Q: b + (s - b) @ Q, "RuntimeError.*. Q.T are back in the layer's .n, d.."),
        (lambda b, s, Q: b + (s - b) @ Q.T, "RuntimeError.*. Q.T are back in the layer's .n, d.."),
        (lambda b, s, Q: b.add_((s - b) @ Q @ Q.T), "Your function changes its argument .h_base."),
        (lambda b, s, Q: b - (s - b) @ Q @ Q.T, "The sign is wrong. add h_source . h_base to"),
        (lambda b, s, Q: b + (s - b) @ Q.T @ Q, "RuntimeError.*. Q.T are back in the layer's .n, d.."),
        (lambda b, s, Q: b + (s - b), "This is the whole h_source. only its"),
        (lambda b, s, Q: b + (b - s) @ Q @ Q.T, "The sign is wrong. add h_source . h_base to"),
        (lambda b, s, Q: b - b @ Q @ Q.T, "The base's coordinates are set to 0. those"),
        (lambda b, s, Q: b + (s + b) @ Q @ Q.T, "The sum of base and source is rotated. take"),
        (lambda b, s, Q: (b + s) / 2, "This is the whole h_source. only its"),
        (lambda b, s, Q: b @ Q @ Q.T + s @ Q @ Q.T, "What is orthogonal to Q is lost. add the"),
        (lambda b, s, Q: b + (s - b) @ Q[:, :1] @ Q[:, :1].T, "Only the first direction is swapped. all"),
        (lambda b, s, Q: torch.cat([s[:, :Q.shape[1]], b[:, Q.shape[1]:]], 1),
         "Neurons are swapped, not directions. go"),
        (lambda b, s, Q: s - (s - b) @ Q @ Q.T, "Base and source are swapped. the base keeps"),
        (lambda b, s, Q: b + 2 * (s - b) @ Q @ Q.T, "The change has the wrong length. the"),
        (lambda b, s, Q: (b + (s - b) @ Q @ Q.T).relu(), "Values below 0 are cut. let them"),
        (lambda b, s, Q: b.relu() + (s.relu() - b.relu()) @ Q @ Q.T, "A ReLU is taken of the activations. take"),
        (lambda b, s, Q: (b + (s - b) @ Q @ Q.T).T, "The table is"),
        (lambda b, s, Q: b + (s - b) @ Q @ Q.T @ Q @ Q.T + 1e-2, "What is orthogonal to Q changes too. add to"),
        (lambda b, s, Q: b + ((s - b) @ Q).sum(1, keepdim=True), "The coordinates are added up to one number."),
        (lambda b, s, Q: b + (s.mean(0) - b) @ Q @ Q.T, "The sources are mixed up. row i of the"),
        (lambda b, s, Q: b + (s - b).abs() @ Q @ Q.T, "The absolute value of the difference is"),
        (lambda b, s, Q: b + (s - b) @ (Q * Q) @ (Q * Q).T, "Q is squared, or its sign is lost. take it"),
        (lambda b, s, Q: (b + (s - b) @ Q @ Q.T).mean(), "Each row has its result. leave out the mean"),
        (lambda b, s, Q: b + (s - b) * Q, "RuntimeError.*. Q.T are back in the layer's .n, d.."),
        (lambda b, s, Q: b + torch.dot(s - b, Q) * Q, "RuntimeError.*. Q.T are back in the layer's .n, d.."),
        (lambda b, s, Q: [b + (s - b) @ Q @ Q.T, Q], "Your function returned a list that holds"),
        (lambda b, s, Q: (torch.set_grad_enabled(False), b + (s - b) @ Q @ Q.T)[1],
         "Your function changes torch's gradient"),
        (lambda b, s, Q: b + (s - b) @ Q.normal_() @ Q.T, "Your function draws or seeds random numbers"),
    ],
    "check_orthonormal_directions": [
        (lambda w: w, "This is the weight itself. its columns are"),
        (lambda w: w / w.norm(), "span the right space|they are not made orthogonal"),
        (lambda w: w / w.norm(dim=0), "The columns have length 1, but they are not"),
        (lambda w: w / w.norm(dim=1, keepdim=True), "The rows have length 1, not the columns."),
        (lambda w: torch.eye(len(w))[:, :w.shape[1]] + 0 * w, "The columns are orthonormal, but they span"),
        (lambda w: torch.linalg.qr(w, mode="complete")[0], "This is a full .d, d. matrix, with .d, k. ."),
        (lambda w: torch.linalg.qr(w, mode="complete")[0][:, -w.shape[1]:],
         "The columns are orthonormal, but they span"),
        (lambda w: torch.linalg.qr(w.detach())[0], "No gradient reaches the weight. do it all"),
        (lambda w: torch.linalg.qr(w.data)[0].requires_grad_(), "No gradient reaches the weight. do it all"),
        (lambda w: np.linalg.qr(w.detach().numpy())[0], "No gradient reaches the weight. do it all"),
        (lambda w: np.linalg.qr(w)[0], "RuntimeError.*do it all in torch, torch.linalg.qr."),
        (lambda w: torch.linalg.qr(w)[0].T, "Your result has shape .3, 6., with .d, k. ."),
        (lambda w: torch.linalg.qr(w), "Your function returned a linalg_qr. return"),
        (lambda w: torch.linalg.qr(w)[1], "Your result has shape .k, k. . .3, 3.. of"),
        (lambda w: torch.linalg.qr(w.T)[0], "The directions have length k . 3, not d ."),
        (lambda w: torch.linalg.qr(w.T)[0].T, "The directions have length k . 3, not d ."),
        (lambda w: torch.linalg.svd(w)[0], "This is a full .d, d. matrix, with .d, k. ."),
        (lambda w: torch.linalg.svd(w)[2], "The directions have length k . 3, not d ."),
        (lambda w: torch.linalg.svd(w, full_matrices=False)[2].T, "The directions have length k . 3, not d ."),
        (lambda w: 2 * torch.linalg.qr(w)[0], "The columns are orthogonal, but their"),
        (lambda w: torch.linalg.qr(torch.randn_like(w))[0] + 0 * w, "Your function draws or seeds random numbers"),
        (lambda w: torch.linalg.qr(w.abs())[0], "The columns are orthonormal, but they span"),
        (lambda w: torch.linalg.qr(w - w.mean(0))[0], "The columns are orthonormal, but they span"),
        (lambda w: torch.linalg.qr(w.relu())[0], "The columns are orthonormal, but they span"),
        (lambda w: torch.linalg.qr(w)[0][:, :1], "Your result has shape .6, 1.. .d, k. . .6,"),
        (lambda w: torch.linalg.qr(w)[0].flatten(), "Your result has shape .18,.. .d, k. . .6,"),
        (lambda w: w @ torch.linalg.inv(w.T @ w),
         "span the right space|they are not made orthogonal|inverse square root"),
        (lambda w: w @ torch.linalg.inv(w.T @ w) @ w.T, "This is a full .d, d. matrix, with .d, k. ."),
        (lambda w: torch.linalg.qr(w).Q.clone().detach().requires_grad_(True),
         "No gradient reaches the weight. do it all"),
        (torch.no_grad()(lambda w: torch.linalg.qr(w)[0]), "No gradient reaches the weight. do it all"),
        (overwrites, "Your function draws or seeds random numbers"),
        (normalizes_in_place, "Your function changes its argument .weight."),
        (straight_through, "The values are right, but the gradient that"),
        (first_column_detached, "No gradient reaches the weight. do it all"),
        (gram_schmidt_without_norm, "The columns are orthogonal, but their"),
        (gram_schmidt_against_the_first, "The columns have length 1, but they are not"),
        (qr_with_grad_off, "Your function changes torch's gradient"),
        (lambda w: torch.qr_decomposition(w), "AttributeError.*torch.linalg.qr.weight. gives Q and R."),
        (lambda w: torch.linalg.qr(w, mode="r")[0], "Your result has shape .0,.. .d, k. . .6, 3."),
        (lambda w: torch.linalg.qr(w[:6, :3])[0], "Your result has shape .6, 3.. .d, k. . .9,"),
        (lambda w: torch.softmax(w, 0), "The columns are not orthonormal, with"),
        (lambda w: None, "Your function returned None. did you forget"),
        (lambda w: torch.stack([c - (w[:, 0] @ c) * w[:, 0] if i else c for i, c in enumerate(w.T)], 1),
        "as by Gram-Schmidt"),
        (lambda w: w @ torch.linalg.inv(w.T @ w), "orthonormal columns need its inverse square root"),
        (lambda w: w @ w.T @ w, "The Gram matrix is taken without its inverse"),
        (lambda w: w @ torch.linalg.inv(torch.linalg.cholesky(w.T @ w)), "factor's inverse is not transposed"),
        (lambda w: torch.stack([v / v.norm() for v in (
            v - sum((v @ u) / (u @ u) * u for u in w.T[:j]) for j, v in enumerate(w.T))], 1), "finished before"),
    ],
}

globals().update(define_tests(CHECKS, "2", RIGHT, WRONG))
