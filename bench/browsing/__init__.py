"""A register of a large organisation, and people who look at its pages."""
