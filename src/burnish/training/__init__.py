"""Stage 3: photos -> pairs -> weights, and what the weights are worth."""
