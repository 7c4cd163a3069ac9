-- Version 2: vectors of remembered texts, by what the text says and by the model that made them. Not an event and no
-- view of events but a cache: it can be made again from the texts. vector: half floats, little-endian, of length 1.

create table embeddings (content_hash varchar, model varchar, dim integer, vector blob, created_at timestamp);
