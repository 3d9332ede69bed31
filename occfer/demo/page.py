"""The page of the demo, made with Gradio; pictures travel inside its messages, so that none becomes a file."""

import base64
from asyncio import get_running_loop
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
from jinja2 import Environment, StrictUndefined, Template

from occfer.data.arrays import Images
from occfer.demo.views import ShownModel, View, read_shown, views
from occfer.errors import DataError
from occfer.faces.chosen_occlusion import ANY_TEMPLATE, KINDS, Choice, ChosenOccluder, takes_share
from occfer.intended_use import NOTICE
from occsynth.escapes import for_html

ASSETS = Path(__file__).parent
TITLE = "Expressions of occluded faces"
START = "cover"
START_PERCENT = 40


def build_page(models: Sequence[ShownModel], occluder: ChosenOccluder) -> gr.Blocks:
    """The page on which a visitor shows a picture and sees what each model makes of it, clean and occluded."""
    page = gr.Blocks(title=TITLE, analytics_enabled=False)
    with page:
        gr.HTML(_template("<h1>{{ title }}</h1>").render(title=TITLE))
        gr.HTML(
            _template(
                '<aside class="notice" aria-label="What this must not be used for">'
                "{% for text in notice %}<p>{{ text }}</p>{% endfor %}</aside>"
            ).render(notice=NOTICE)
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                picture = gr.HTML(
                    html_template=_asset("picture.html"), js_on_load=_asset("picture.js"), elem_id="picture"
                )
                kind = gr.Dropdown(list(KINDS), value=START, label="Mode", info=KINDS[START], elem_id="mode")
                percent = gr.Slider(
                    1, 99, START_PERCENT, step=1, label="Hidden share of the face, in %", elem_id="share"
                )
                chosen = gr.Dropdown(occluder.names, value=ANY_TEMPLATE, label="Occluder", elem_id="occluder")
                seed = gr.Number(0, precision=0, label="Seed", elem_id="seed")
                another = gr.Button("Draw another", elem_id="another")
            with gr.Column(scale=2):
                message = gr.HTML(elem_id="message")
                with gr.Row():
                    panels = [_panel(number) for number in range(len(models))]
        shown = [message, *(part for panel in panels for part in panel)]
        # one answer at a time, in a thread that Python waits for at its end; Gradio's own would be cut off inside torch
        answers = ThreadPoolExecutor(max_workers=1)

        async def answer(*chosen: Any) -> list[str]:
            return await get_running_loop().run_in_executor(answers, partial(_answer, models, occluder), *chosen)

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last"}
        waiting = quiet | {"show_progress": "minimal", "show_progress_on": message}
        kind.change(_of_kind, kind, [kind, percent], **quiet)
        another.click(lambda number: number + 1, seed, seed, **quiet)
        for event in (picture.change, kind.change, percent.change, chosen.change, seed.change):
            event(answer, [picture, kind, percent, chosen, seed], shown, **waiting)
    return page


def _panel(number: int) -> tuple[gr.HTML, gr.Code]:
    with gr.Column(min_width=300):
        seen = gr.HTML(elem_classes="seen", elem_id=f"seen-{number}")
        record = gr.Code(
            language="json", label="Occlusion record", interactive=False, wrap_lines=True, buttons=["copy"],
            elem_id=f"record-{number}",
        )  # fmt: skip
    return seen, record


def _of_kind(name: str) -> tuple[gr.Dropdown, gr.Slider]:
    """The list of modes says what the chosen one hides, and only the modes of a share ask for one."""
    return gr.Dropdown(info=KINDS[name]), gr.Slider(visible=takes_share(name))


def _answer(
    models: Sequence[ShownModel],
    occluder: ChosenOccluder,
    address: str | None,
    kind: str,
    percent: int,
    name: str,
    seed: int | None,
) -> list[str]:
    """The message and the panels; all but the message are empty where there is nothing to show.

    Args:
        models: on the page.
        occluder: hides the face.
        address: the picture as the browser sends it; empty before there is one.
        kind, percent, name, seed: of the `Choice`.
    """
    empty = [""] * (2 * len(models))
    if not address:
        return ["", *empty]
    try:
        choice = Choice(kind, int(percent), name, int(seed or 0))
        found = views(models, read_shown(address), occluder, choice)
    except DataError as error:
        text = str(error)
        return [
            _template('<p class="message" role="alert">{{ text }}</p>').render(text=text[:1].upper() + text[1:]),
            *empty,
        ]
    return ["", *(part for view in found for part in (seen(view), view.record))]


def seen(view: View) -> str:
    """What the page shows of a view, as HTML, with every name escaped."""
    pictures = [
        ("clean", view.clean),
        (f"occluded: {100 * view.hidden_fraction:.0f} % of the face hidden", view.occluded),
        ("heat of the answer to the clean face", view.heat.clean),
        ("heat of the answer to the occluded face", view.heat.occluded),
    ]
    answers = zip(
        view.classes,
        (f"{value:.3f}" for value in view.clean_probabilities),
        (f"{value:.3f}" for value in view.occluded_probabilities),
        strict=True,
    )
    named = {view.classes[int(each.argmax())] for each in (view.clean_probabilities, view.occluded_probabilities)}
    return _template(_asset("view.html.j2")).render(
        view=view,
        pictures=[(caption, _png(image)) for caption, image in pictures if image is not None],
        answers=answers,
        named=named,
    )


def _png(image: Images) -> str:
    """An image as an address that holds it whole."""
    _, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _template(text: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=for_html)
    return environment.from_string(text)
