"""Plans without a model: a grammar over the user's own tables and the tools' examples.

A request is cut into words (`words`); each word's meanings in each table are looked up (`lexicon`, `views`, `fields`);
every way to cut the words into phrases is found (`rules` and the modules that state the grammar with them: `measures`,
`conditions`, `times`, `phrases`, `parse`); a closed list says what a row of phrases means (`assemble`, `grouped`,
`questions`); the query that comes of it is written as SQL and in words (`sql`, `reading`). Two readings that give
different SQL are one too many: the request is refused (`reader`). Last, `audit` looks for each word in what was built.
"""

from workbench.planners.grammar.planner import GrammarPlanner

__all__ = ["GrammarPlanner"]
