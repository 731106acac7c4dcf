"""Chains of layers trained by compiled code: blocks of steps, one member at a time while its numbers stay in the cache.

`source/` holds the C++ (`chain.cpp` and the headers that it includes), `build` compiles it once for this machine,
`plan` is the memory that both sides read, `components` says which parts of a network and which rules the code knows.
"""
