-- Overlap is refused where the addresses are: by the runs, which from now on follow the claims by themselves. Claims side
-- by side are one stretch of a run, however many they are; an entry for each in an index of ranges took ten times as long
-- as everything else about them.

ALTER TABLE claim DROP CONSTRAINT claim_overlap, DROP COLUMN span;

-- Whatever a program gets wrong, no two runs under one parent share an address; nor do they touch, or they were one.
ALTER TABLE run
    ADD COLUMN span numrange GENERATED ALWAYS AS (numrange(first, last + 1, '[]')) STORED,
    ADD CONSTRAINT run_overlap EXCLUDE USING gist (parent WITH =, span WITH &&);

DROP FUNCTION occupy_all;

CREATE FUNCTION keep_run(change text, of_parent bigint, begins numeric, ends numeric) RETURNS void STRICT
LANGUAGE plpgsql AS $$
BEGIN
    IF change = 'INSERT' THEN
        PERFORM occupy(of_parent, begins, ends);
    ELSE
        PERFORM vacate(of_parent, begins, ends);
    END IF;
END $$;

-- The addresses of claims that come are added to the runs, and those of claims that go are taken out. Only what lies side
-- by side is taken together, so that two claims of one statement that overlap meet in the runs and are refused there.
CREATE FUNCTION keep_runs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    each record;
    of_parent bigint;
    begins numeric;
    ends numeric;
BEGIN
    FOR each IN SELECT parent, first, last FROM changed WHERE parent > 0 ORDER BY parent, first LOOP
        IF each.parent = of_parent AND each.first = ends + 1 THEN
            ends := each.last;
        ELSE
            PERFORM keep_run(TG_OP, of_parent, begins, ends);
            of_parent := each.parent;
            begins := each.first;
            ends := each.last;
        END IF;
    END LOOP;
    PERFORM keep_run(TG_OP, of_parent, begins, ends);
    RETURN NULL;
END $$;

CREATE TRIGGER claims_come AFTER INSERT ON claim
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION keep_runs();
CREATE TRIGGER claims_go AFTER DELETE ON claim
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION keep_runs();

CREATE FUNCTION refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'claim % stays where it is: remove it, and insert another', OLD.id;
END $$;

CREATE TRIGGER claim_moves BEFORE UPDATE OF parent, first, last ON claim
    FOR EACH ROW EXECUTE FUNCTION refuse_move();
