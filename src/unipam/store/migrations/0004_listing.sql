-- Listings of one kind of object across blocks and spaces, in the order of places, and sums of what they take up.
CREATE INDEX claim_kind ON claim (kind, parent, first, last) WHERE parent > 0;
