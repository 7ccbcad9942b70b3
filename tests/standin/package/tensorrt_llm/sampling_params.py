from ._standin.models import export

export(__name__)
