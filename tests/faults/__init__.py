"""Faults on purpose: the node as a black box, killed, hung and robbed at random and at every failpoint; nothing is lost.

Run it with `make faults` or `python -m tests.faults --help`. Nothing here is imported by the node.
"""
