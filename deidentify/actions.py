"""The elementary actions that every rule comes down to.

Only names for numbers; which attribute gets which is `deidentify.plan`, how each is carried out `deidentify.rewrite`.
"""

KEEP, REMOVE, EMPTY, DUMMY, DUMMY_IF_FILLED, UID, UID_OF_KIND, CHARACTER_SET = range(8)
