"""Compiler flags of our own code: warnings are errors there, and only there."""

WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
]

C = WARNINGS + ["-std=gnu11"]

CXX = WARNINGS + ["-std=c++17"]
