"""The measure that the library is held against: it plants invented identities into real objects and looks for them again.

It is a black box test: it knows Table E.1-1 and the recipe's options, and nothing of how the engine works.
"""
