-- What was claimed and freed under a parent is summed day by day: store/turnover.py. What is summed lies in the index.
CREATE INDEX journal_parent ON journal (parent, at) INCLUDE (verb, first, last, generation);
