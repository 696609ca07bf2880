-- The claim tree and its journal, as store.api describes them. Addresses are whole numbers on the line of 128 bits.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Locked by whoever writes: one writer at a time, whichever process it is in.
CREATE TABLE writer ();

CREATE TABLE claim (
    id bigint PRIMARY KEY,
    parent bigint NOT NULL,
    first numeric(39) NOT NULL,
    last numeric(39) NOT NULL CHECK (last >= first),
    kind text NOT NULL,
    holder text COLLATE "C" NOT NULL,
    interface text NOT NULL,
    state text NOT NULL,
    since double precision NOT NULL,
    until double precision,
    generation bigint NOT NULL,
    boot bigint NOT NULL,
    cooldown bigint NOT NULL,
    call text NOT NULL,
    details text NOT NULL,
    span numrange GENERATED ALWAYS AS (numrange(first, last, '[]')) STORED,
    -- Whatever a program gets wrong, no two claims under one parent share an address.
    CONSTRAINT claim_overlap EXCLUDE USING gist (parent WITH =, span WITH &&) WHERE (parent > 0)
);
CREATE UNIQUE INDEX claim_space ON claim (holder) WHERE kind = 'space';
CREATE INDEX claim_first ON claim (parent, first);
CREATE INDEX claim_holder ON claim (holder);
CREATE INDEX claim_until ON claim (parent, since) WHERE until IS NOT NULL;

-- The claimed addresses of each parent as disjoint, coalesced stretches: their complement is the free space.
CREATE TABLE run (
    parent bigint NOT NULL,
    first numeric(39) NOT NULL,
    last numeric(39) NOT NULL,
    PRIMARY KEY (parent, first)
);

CREATE TABLE cursor (
    parent bigint NOT NULL,
    number bigint NOT NULL,
    address numeric(39) NOT NULL,
    PRIMARY KEY (parent, number)
);

CREATE TABLE fence (
    parent bigint NOT NULL,
    holder text NOT NULL,
    interface text NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (parent, holder, interface)
);

CREATE TABLE journal (
    id bigint PRIMARY KEY,
    at double precision NOT NULL,
    verb text NOT NULL,
    parent bigint NOT NULL,
    first numeric(39) NOT NULL,
    last numeric(39) NOT NULL,
    holder text COLLATE "C" NOT NULL,
    interface text NOT NULL,
    generation bigint NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    details text NOT NULL
);

CREATE TABLE note (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- Adds a stretch, which is free, to the runs of a parent.
CREATE FUNCTION occupy(of_parent bigint, begins numeric, ends numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    near record;
    low numeric := begins;
    high numeric := ends;
BEGIN
    FOR near IN
        SELECT first, last FROM run WHERE parent = of_parent AND first <= ends + 1 ORDER BY first DESC LIMIT 2
    LOOP
        IF near.first = ends + 1 THEN
            high := near.last;
            DELETE FROM run WHERE parent = of_parent AND first = near.first;
        ELSIF near.last = begins - 1 THEN
            low := near.first;
        END IF;
    END LOOP;
    IF low < begins THEN
        UPDATE run SET last = high WHERE parent = of_parent AND first = low;
    ELSE
        INSERT INTO run VALUES (of_parent, begins, high);
    END IF;
END $$;

-- Adds stretches, which are apart from one another, to the runs of their parents: all of them, or none when one is not
-- free. Then its number is the answer, counted from 1; else 0.
CREATE FUNCTION occupy_all(parents bigint[], firsts numeric[], lasts numeric[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    last_before numeric;
BEGIN
    FOR n IN 1 .. cardinality(parents) LOOP
        SELECT last INTO last_before FROM run
            WHERE parent = parents[n] AND first <= lasts[n] ORDER BY first DESC LIMIT 1;
        IF last_before >= firsts[n] THEN
            RETURN n;
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(parents) LOOP
        PERFORM occupy(parents[n], firsts[n], lasts[n]);
    END LOOP;
    RETURN 0;
END $$;

-- Takes a stretch out of the run that it is part of.
CREATE FUNCTION vacate(of_parent bigint, begins numeric, ends numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    around record;
BEGIN
    SELECT first, last INTO STRICT around FROM run
        WHERE parent = of_parent AND first <= begins ORDER BY first DESC LIMIT 1;
    IF around.first < begins THEN
        UPDATE run SET last = begins - 1 WHERE parent = of_parent AND first = around.first;
    ELSE
        DELETE FROM run WHERE parent = of_parent AND first = around.first;
    END IF;
    IF ends < around.last THEN
        INSERT INTO run VALUES (of_parent, ends + 1, around.last);
    END IF;
END $$;
