"""Mathematical expressions: read whole by a grammar or not at all, and compared."""

from pipeline.verify.expression.compare import concluded, equal
from pipeline.verify.expression.grammar import Refused, parse
from pipeline.verify.expression.literal import literal, written
from pipeline.verify.expression.node import Node
from pipeline.verify.expression.tokens import normal

__all__ = ["Node", "Refused", "concluded", "equal", "literal", "normal", "parse", "written"]
