"""Latency that can be trusted: interleaved rounds, intervals, and a record of the machine."""
