from .._standin.classes import CLASSES
from .._standin.models import ValidationError, export  # noqa: F401

export(__name__)
# The configuration classes of llmapi live in this module.
for _name, _cls in CLASSES.items():
    globals().setdefault(_name, _cls)
