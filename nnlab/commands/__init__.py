"""One module a command of `nnlab`; each has a function `main(arguments)`, or a task for Hydra."""
