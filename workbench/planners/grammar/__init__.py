"""Plans without a model: a grammar over the user's own tables and the tools' examples."""

from workbench.planners.grammar.planner import GrammarPlanner

__all__ = ["GrammarPlanner"]
