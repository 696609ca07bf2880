"""`unipam diagnose`: reads what a node left behind and says what is wrong with its addresses, line by line.

Sources in, a report out (`report.Report`); nothing is changed and nothing is asked over a network. Logs of any size
are read in a stream with bounded memory. What belongs here: reading foreign configurations, logs, state and command
output, and judging them. What does not: allocating, repairing, or speaking to a cluster.
"""

from __future__ import annotations

from unipam.diagnose.node import journal_command, node_paths
from unipam.diagnose.run import diagnose, diagnose_bytes, diagnose_uploads
from unipam.model.errors import UnreadableInput

__all__ = ["UnreadableInput", "diagnose", "diagnose_bytes", "diagnose_uploads", "journal_command", "node_paths"]
