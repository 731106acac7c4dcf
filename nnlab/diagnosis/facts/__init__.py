"""What is measured, once, for the training diagnosis and the recipe alike: facts, without a verdict.

data         inputs, targets and splits; `leaks` between splits and from the target into the inputs
levels       the losses between which a network moves: its start, the best constant answer, the floor
references   what simple methods reach on the same data
chance       whether predictions have to do with the targets
fresh        signals and gradients in networks before any training
trained      units, weights and predictions of networks as they are
curves       what follows from losses and statistics over a run
"""
