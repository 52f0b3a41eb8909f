"""Exercise 2: topological_order(root)."""

from collections import Counter

from hypothesis import strategies as st
from tests.exercises.checker import Part, shown


class Node:
    """A tensor without numbers: the nodes it was computed from."""

    def __init__(self, name, inputs):
        self.name, self.inputs = name, inputs

    def __repr__(self):
        return self.name


@st.composite
def graphs(draw):
    """name -> names of its inputs; the last one is the root, which need not depend on all."""
    names = "abcdefgh"[:draw(st.integers(1, 8))]
    return {"inputs_of": {name: tuple(draw(st.lists(st.sampled_from(names[:i]), max_size=3)))
                          if i else () for i, name in enumerate(names)}}


def root_of(inputs):
    nodes = {}
    for name, sources in inputs["inputs_of"].items():
        nodes[name] = Node(name, tuple([nodes[source] for source in sources]))
    return [nodes[name]]


CHAIN = {"inputs_of": {i: (i - 1,) if i else () for i in range(5_000)}}
DOUBLINGS = {"inputs_of": {i: (i - 1, i - 1) if i else () for i in range(60)}}


def names_of(order):
    return [node.name for node in order]


def reachable(graph):
    found, stack = set(), [list(graph)[-1]]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += graph[name]
    return found


def each_once(function, inputs, order):
    counts = Counter(order)
    if twice := [name for name in counts if counts[name] > 1]:
        return f"the order {shown(order)} has {twice[0]!r} {counts[twice[0]]} times, not once"
    if missing := sorted(reachable(inputs["inputs_of"]) - set(order)):
        return f"the order {shown(order)} lacks {missing[0]!r}"
    return None


def inputs_first(function, inputs, order):
    place = {name: i for i, name in reversed(list(enumerate(order)))}
    for name in order:
        for source in inputs["inputs_of"][name]:
            if place.get(source, -1) > place[name]:
                return f"the order {shown(order)} has {name!r} before its input {source!r}"
    return None


# ---- known mistakes ------------------------------------------------------------------------------


def by_first_visit(root):
    """A node is appended when it is first seen. Append it only after all its inputs have been
    appended."""
    order, stack = {}, [root]
    while stack:
        node = stack.pop()
        if node not in order:
            order[node] = True
            stack += node.inputs
    return list(order)


def first_visit_reversed(root):
    """The order of first visits, reversed. That is right for a tree; with a node that is used twice
    one of its consumers may come before it. Append a node after all its inputs."""
    return by_first_visit(root)[::-1]


def breadth_first(root):
    """Level by level from the root, reversed: a node that is used on two levels comes too late for
    the consumer on the lower level. Go depth first, and append a node after all its inputs."""
    order, queue = {}, [root]
    for node in queue:
        if node not in order:
            order[node] = True
            queue += node.inputs
    return list(order)[::-1]


def recursive(root):
    """One call of the function for each node on the way: Python allows about 1,000. Keep a list of
    the nodes that are still to be done instead."""
    order = {}

    def visit(node):
        if node not in order:
            for source in node.inputs:
                visit(source)
            order[node] = True

    visit(root)
    return list(order)


def once_per_path(root):
    """No memory of the nodes that are done: one that is used twice comes twice, and 60 doublings
    are 2^60 visits."""
    order = []

    def visit(node):
        for source in node.inputs:
            visit(source)
        order.append(node)

    visit(root)
    return order


def depth_first(root):
    order, stack = {}, [root]
    while stack:
        pending = [source for source in stack[-1].inputs if source not in order]
        if pending:
            stack += pending
        else:
            order[stack.pop()] = True
    return list(order)


def root_first(root):
    """The order is the wrong way round: a node comes after its inputs, so the root comes last."""
    return depth_first(root)[::-1]


def without_root(root):
    """The root itself is missing."""
    return depth_first(root)[:-1]


def without_leaves(root):
    """The nodes without inputs are missing: they are the weights, which need their gradients."""
    return [node for node in depth_first(root) if node.inputs]


PARTS = (
    Part("topological_order", graphs(),
         (root_first, first_visit_reversed, by_first_visit, breadth_first, recursive,
          once_per_path, without_root, without_leaves),
         laws=(each_once, inputs_first), arguments=root_of, observe=names_of,
         extra=(DOUBLINGS, CHAIN), examples=100),)
