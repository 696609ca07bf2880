"""Foreign systems' languages, one room each: their configuration in, their results and words out.

A dialect never opens a store and never decides who gets what.
"""
