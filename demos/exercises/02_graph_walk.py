"""Exercise 2: the order in which `backward` visits the graph.

Read first: minibert/micro.py, class Tensor (its `backward` is what you write here: try before you
look); demos/01_autograd.py.

An expression is a graph. Each node has `inputs`, the nodes that it was computed from:

    b = a + a
    c = b * b            a --> b --> c --> d          d.inputs = (c, b)
    d = c + b                   \\________/            b.inputs = (a, a)

`backward` goes from d to a. It may pass on b's gradient only when that is complete: after c and
after d, since both use b. So an order is needed in which each node comes after all its inputs
(a topological order; Cormen et al., "Introduction to Algorithms", section 22.4): a b c d. backward
goes through it from the end.

Order by first visit is not enough: from d one might visit b before c, and b's gradient would be
passed on without what comes through c. This is the most frequent mistake in engines of this size.

Two more conditions: a node that is used many times comes once (60 steps x = x + x are 2^60 paths,
but 61 nodes), and a chain of thousands of nodes works: Python allows only about 1,000 calls inside
each other, so a function that calls itself for each node is not enough.

Check: python -m pytest demos/exercises/02_graph_walk.py
"""


def topological_order(root) -> list:
    """All nodes that `root` was computed from, each once and after all its inputs; root is last.

    A node has the attribute `inputs`, a tuple of nodes, empty for a leaf such as a weight. A node
    can be a key of a dict or an element of a set.
    """
    raise NotImplementedError


# ---- hints: scroll down --------------------------------------------------------------------------
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
# 1. Keep a stack: a list of nodes that are still to be finished; it begins with the root.
# 2. Look at the top of the stack. Which of its inputs are not in the order yet?
# 3. If there are some, put them on the stack and look at the new top. If there are none, the node
#    leaves the stack and joins the order.
# 4. A node may be on the stack twice. Make sure that it joins the order only once: a dict keeps the
#    order in which keys were added, and finds a key at once.
