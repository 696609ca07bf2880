-- The journal is looked through by time, by who did what to whom, and by address: store/journal.py tells how.
CREATE INDEX journal_at ON journal (at, id);
CREATE INDEX journal_actor ON journal (actor, at, id);
CREATE INDEX journal_verb ON journal (verb, at, id);
CREATE INDEX journal_holder ON journal (holder COLLATE "C");
CREATE INDEX journal_first ON journal (first);
