"""Measurements, run by `make bench`. Never part of the tests: what they say depends on the machine."""
