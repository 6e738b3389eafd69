"""Every data variant earns its place: equal budgets, controls, paired intervals."""
