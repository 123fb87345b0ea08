"""Show what a project holds, cost and promises, on one page that needs nothing else."""

from hyla.report.report import report

__all__ = ["report"]
