-- Version 4: runs that were erased. Their events are not taken again, from whatever journal or import they come. Only
-- the ids are here, which say no more than when a run began.

create table erased (run varchar, erased_at timestamp);
