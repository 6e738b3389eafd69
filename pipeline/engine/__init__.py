"""Language models: one async interface, its back ends,
and the completion cache in front of them.
"""
