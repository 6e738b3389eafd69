"""Which of a prompt's answers is taken: by vote, or by a reward model learnt from pairs."""
