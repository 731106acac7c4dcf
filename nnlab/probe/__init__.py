"""Diagnosis by experiment: what keeps a run from learning, found by training networks that differ in one thing.

findings = follow_up(config, overrides, record, findings)     # after a run; nothing where nothing is wrong
findings = probe_run("outputs/train/RUN")                     # of a run's folder
"""
