"""The stages an image passes, one a file: register, identify, deidentify, deliver, cleanup, and the sweep.

A stage is a function of a claimed row; it can be called by a test, a command or a worker, and knows no Celery.
"""
