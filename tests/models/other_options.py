"""A value other than the default for every option of a model."""

from minibert.models.architectures import ARCHITECTURES
from minibert.models.config import option_fields, option_type


def other_options():
    """{name: value}, of the type of each option's field. Heads divide the width, as in the
    defaults."""
    others = {}
    for architecture in ARCHITECTURES:
        for option, (first, *_) in option_fields(architecture.config_class).items():
            kind = option_type(architecture.config_class, first)
            value = {bool: not first.default, int: 3 * (first.default or 1),
                     float: (first.default or 0.5) / 2}[kind]
            others.setdefault(option.name, value)
    return others
