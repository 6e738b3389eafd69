"""Instructions whose fulfilment a program can check: IFEval's 25 kinds, and our own.

`build` makes one that a response fulfils or violates, `Instruction.check` judges any response,
`contradiction` refuses sets that nothing can fulfil, `fulfilment` measures a policy's responses.
"""

from pipeline.verify.instructions.catalogue import KINDS, Instruction, build, read, write
from pipeline.verify.instructions.contradictions import contradiction
from pipeline.verify.instructions.fulfilment import fulfilment

__all__ = ["KINDS", "Instruction", "build", "contradiction", "fulfilment", "read", "write"]
