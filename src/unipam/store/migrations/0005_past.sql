-- What stood once: each line of the journal that another one has replaced, with the number of the one that did so.
-- store/past.py tells what it is for.
CREATE TABLE past (
    parent bigint NOT NULL,
    ended bigint NOT NULL,
    number bigint NOT NULL,
    first numeric(39) NOT NULL,
    last numeric(39) NOT NULL,
    kind text,
    PRIMARY KEY (parent, ended)
);

-- The kind of an object is the first fact of its details.
INSERT INTO past
    SELECT v.parent, r.id, v.id, v.first, v.last, substring(v.details FROM '^{"type":"([^"]+)"')
    FROM journal AS r JOIN journal AS v ON v.id = r.generation
    WHERE r.generation > 0 AND v.verb IN ('create', 'change') ORDER BY r.id;
ANALYZE past;

CREATE FUNCTION keep_past() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO past
        SELECT v.parent, NEW.id, v.id, v.first, v.last, substring(v.details FROM '^{"type":"([^"]+)"')
        FROM journal AS v WHERE v.id = NEW.generation AND v.verb IN ('create', 'change');
    RETURN NULL;
END $$;

CREATE TRIGGER journal_replaces AFTER INSERT ON journal
    FOR EACH ROW WHEN (NEW.generation > 0) EXECUTE FUNCTION keep_past();
