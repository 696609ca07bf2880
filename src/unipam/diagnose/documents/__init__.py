"""Documents: state files, conflists, resource dumps and answers, whole or cut, alone or inside other text.

`tolerant` and `yamldoc` make trees of text; each other module knows the documents of one system and says what a
tree shows. A tree is walked as a whole, so that a fragment is understood as well as the file it was cut from.
"""
