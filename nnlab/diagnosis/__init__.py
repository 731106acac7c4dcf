"""From the curves and statistics of a run to named causes, in words, with an override to paste.

trainer.fit()
for record in records(trainer):           # one for each member of the population
    for finding in diagnose(record):      # causes first; what a cause explains is in its `symptoms`
        print(finding.line())

`facts/` measures, `rules/` judge, `catalogue` names: the recipe uses the same facts, rules and names.
"""

from nnlab.diagnosis.catalogue import NAMES
from nnlab.diagnosis.diagnose import diagnose
from nnlab.diagnosis.facts.data import DataFacts
from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.measure import records
from nnlab.diagnosis.record import LayerFacts, RunRecord, Series, SplitFacts, WeightFacts

__all__ = [
    "NAMES",
    "DataFacts",
    "Finding",
    "LayerFacts",
    "RunRecord",
    "Series",
    "SplitFacts",
    "WeightFacts",
    "diagnose",
    "records",
]
