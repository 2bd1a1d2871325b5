"""Make a network faster at a stated loss: prune, distil, quantise, each step measured."""
