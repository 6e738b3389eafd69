"""The report's part about noise: how strong the labels are, who voted, and what the self-test said."""

import base64
import html
import io

import polars as pl
from matplotlib.figure import Figure

from pipeline.noise.figures import histograms, of_strength
from pipeline.store import Lake


def noise_section(lake: Lake) -> str:
    """HTML of the part, with pictures inside; empty where nothing was voted on."""
    strength = lake.read("pair_strengths")
    if strength.is_empty():
        return ""
    voters = lake.read("voters")
    parts = ["<h2>Noise</h2>", f"<p>{_sentence(strength)}</p>", *_warning(voters)]
    known = strength.drop_nulls("mean")
    if known.height:
        truth = lake.query_file("label_truth")
        parts.append(_picture(of_strength(known, truth), "Voters for the label, P(label is right), and labels that are right, by decile of the mean margin"))  # fmt: skip  # noqa: E501
    parts.append(_picture(histograms(strength), "Histograms of the pairs' mean margins and noise scores"))
    parts.append(_voters(voters))
    tests = lake.read("noise_tests")
    if tests.height:
        for name in ("noise_scorers", "noise_treatments"):
            board = lake.query_file(name)
            caption = "Labels flipped on purpose: " + ("who finds them" if name == "noise_scorers" else "what helps")
            parts.append(_table(caption, board))
    return "\n".join(parts)


def _sentence(strength: pl.DataFrame) -> str:
    """What the vote says, in words."""
    n, scored = strength.height, strength["noise_score"].drop_nulls()
    below = strength.drop_nulls("mean").select((pl.col("mean") < 0).mean()).item()
    said = f"{n} pairs of {', '.join(strength['source'].unique().sort())} were voted on."
    if below is not None:
        said += f" The voters' mean is against the label of {below:.1%}."
    if len(scored):
        said += f" By the noise scores, {float(scored.sum()) / len(scored):.1%} of the labels are wrong"
        said += "." if len(scored) == n else f" (of {len(scored)} pairs whose voters' reliability is known)."
    return html.escape(said)


def _warning(voters: pl.DataFrame) -> list[str]:
    """Where no voter is known to be better than a coin, what the vote says about single labels is worth nothing."""
    models = voters.filter(pl.col("kind") != "label")
    if models.is_empty() or models.filter((pl.col("low") > 0.5) | (pl.col("high") < 0.5)).height:
        return []
    said = (
        f"None of the {models.height} voters can be told from a coin on these pairs (every interval holds 0.5): "
        "flipping or removing pairs by their votes does as much harm as good. More pairs, a larger model or voters "
        "from elsewhere (noise.external, orchard import) would help."
    )
    return [f"<p><strong>{html.escape(said)}</strong></p>"]


def _voters(voters: pl.DataFrame) -> str:
    shown = voters.select(
        "voter_id",
        "kind",
        "n_votes",
        pl.col("reliability", "low", "high", "agreement", "calibration_error").round(3),
    )
    return _table("Voters: reliability with its 95 % interval, and agreement with the labels", shown)


def _table(caption: str, frame: pl.DataFrame) -> str:
    head = "".join(f'<th scope="col">{html.escape(name.replace("_", " "))}</th>' for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{'–' if value is None else html.escape(str(value))}</td>" for value in row) + "</tr>"
        for row in frame.iter_rows()
    )
    return f'<div class="wide"><table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'  # noqa: E501


def _picture(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{data}"></p>'
