"""Demo 1: a gradient, by hand and by the engine.

    python demos/01_autograd.py

Builds one small expression, prints its graph and compares three independent gradients: the
engine's, the chain rule by hand, and the complex step.
"""

import numpy as np

import minibert as mb
from minibert.autograd.tensor import op_name


def graph_lines(tensor, names, indent=""):
    """Returns the graph below `tensor` as text: an op, its value, its inputs indented under it."""
    name = names.get(id(tensor), "")
    made_by = op_name(tensor.grad_fn) if tensor.grad_fn else "leaf"
    lines = [f"{indent}{made_by:8s}{name:3s}= {tensor.item():9.6f}"]
    for source in tensor.inputs:
        lines += graph_lines(source, names, indent + "    ")
    return lines


def neuron(w, x, b):
    """Returns e^2 with e = tanh(w x + b) - 1: the squared error of one neuron."""
    e = mb.ops.tanh(w * x + b) - 1.0
    return e * e


def main() -> None:
    w, x, b = (mb.Tensor(value, requires_grad=True) for value in (0.5, 2.0, -0.3))
    loss = neuron(w, x, b)

    e = loss.inputs[0]
    print("loss = e * e with e = tanh(w x + b) - 1. Its graph, from the loss down to the leaves:\n")
    print("\n".join(graph_lines(loss, {id(w): "w", id(x): "x", id(b): "b", id(e): "e"})))
    print("\nLook at e: it is an input of mul twice. Its gradient is the sum over both uses.\n")

    loss.backward()
    t = np.tanh(0.5 * 2.0 - 0.3)
    by_hand = {"w": 2 * (t - 1) * (1 - t * t) * 2.0,
               "x": 2 * (t - 1) * (1 - t * t) * 0.5,
               "b": 2 * (t - 1) * (1 - t * t)}
    step = 1e-30
    print(f"{'':10s}{'backward':>14s}{'chain rule':>14s}{'complex step':>14s}")
    for name, leaf in (("w", w), ("x", x), ("b", b)):
        moved = {"w": 0.5, "x": 2.0, "b": -0.3}
        moved[name] += step * 1j
        complex_step = neuron(*(mb.Tensor(value) for value in moved.values())).item().imag / step
        print(f"d loss/d{name:3s}{leaf.grad.item():14.9f}{by_hand[name]:14.9f}{complex_step:14.9f}")
        if not np.allclose([by_hand[name], complex_step], leaf.grad, rtol=1e-12):
            raise SystemExit(f"the three gradients of {name} differ")

    print("\nThe complex step f'(x) = Im f(x + ih)/h has no subtraction, "
          "so h can be 1e-30 and every\n"
          "digit is right. mb.gradcheck applies it to every input, here to arrays:\n")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((4, 3), (3, 5), (5,))]
    print(mb.gradcheck(lambda a, b, c: mb.ops.tanh(a @ b + c), arrays))
    print("\nClaim: backward, the chain rule by hand and the complex step agree to 12 digits.")


if __name__ == "__main__":
    main()
