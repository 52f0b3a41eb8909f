"""Arrays that remember how they were computed, and the functions that Transformers are made of.

In reading order: tensor (the walk), arithmetic, reductions, shapes and matmul (each op above its
derivative), ops (all of them, as operators), spelling, composed (the textbook's formulas), fused*
(the same, fast), blocked_attention (the same for long texts), functional (the choice between the
spellings), checkpoint (a second forward for less memory), gradcheck and its cases, trace.
"""
