"""The folder watcher: a face that notices finished drops in the watched folders and hands each one to registration.

It decides only *when* a drop is finished; what becomes of it is decided in `main`.
"""
