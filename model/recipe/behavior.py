"""Texts about one skill each: CheckList's templates (Ribeiro et al. 2020), edited film reviews, irony."""

from pathlib import Path

import numpy as np
import pandas as pd

BEHAVIOR = "behaviour_train.parquet"
_TEMPLATES, _FILMS, _IRONY = "checklist_mft", "cad_imdb_train_pairs", "amazon_irony_quotes"


def read_behavior(data: Path, cap: int) -> pd.DataFrame:
    """Return at most `cap` templates of each kind, the edited film reviews, and ironic quotes, or nothing.

    Film reviews that were not edited are left out: IMDB's training split contains them.
    """
    columns = ["text", "label", "domain", "answer"]
    if not (data / BEHAVIOR).exists():
        return pd.DataFrame(columns=columns).astype({"label": int})
    texts = pd.read_parquet(data / BEHAVIOR)
    templates = texts[(texts["set"] == _TEMPLATES) & texts.expect.isin(["positive", "negative", "neutral"])]
    templates = templates.sample(frac=1, random_state=0).groupby("kind").head(cap)
    films = texts[(texts["set"] == _FILMS) & (texts.kind == "revised")]
    irony = texts[(texts["set"] == _IRONY) & texts.label.notna()]
    rows = pd.concat([templates.assign(answer=templates.expect), films, irony])
    return rows.assign(
        domain=rows["set"],
        label=rows.label.fillna(-1).astype(int),
        answer=rows.answer.replace({np.nan: None}),
    )[columns]
