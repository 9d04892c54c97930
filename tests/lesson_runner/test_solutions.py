"""Outputs of a run in a notebook: the same run makes the same outputs."""

from nbformat import NotebookNode, v4

from lesson_runner.export.notebook import to_notebook
from lesson_runner.export.outputs import with_outputs
from lesson_runner.page.episode import read_episode
from lesson_runner.run.happened import Execution


def outputs_in_notebook(*outputs: NotebookNode) -> list[NotebookNode]:
    """What the cell of a block holds after the kernel sent these."""
    episode = read_episode("episodes/page.md", "```python\n1\n```\n")
    notebook = to_notebook(episode, "python", for_instructors=True)
    (block,) = episode.blocks
    with_outputs(notebook, [Execution(block, outputs=outputs)])
    found: list[NotebookNode] = notebook.cells[1].outputs
    return found


def stream(name: str, text: str) -> NotebookNode:
    node: NotebookNode = v4.new_output("stream", name=name, text=text)
    return node


def test_pieces_of_one_stream_are_one_output() -> None:
    """Where a kernel cuts its text depends on the time."""
    sent = [stream("stdout", "a"), stream("stdout", "b\n"), stream("stderr", "c")]
    made = [stream("stdout", "ab\n"), stream("stderr", "c")]
    assert outputs_in_notebook(*sent) == made


def test_a_progress_bar_is_kept_in_its_last_state() -> None:
    sent = [stream("stderr", "\r 0%"), stream("stderr", "\r100%"), stream("stderr", "\n")]
    assert outputs_in_notebook(*sent) == [stream("stderr", "100%\n")]


def test_values_stay_where_they_came_and_get_the_number_of_their_cell() -> None:
    value = v4.new_output("execute_result", {"text/plain": "1"}, execution_count=7)
    plot = v4.new_output("display_data", {"image/png": "iVBO"})
    made = outputs_in_notebook(stream("stdout", "a\n"), plot, stream("stdout", "b\n"), value)
    assert made == [
        stream("stdout", "a\n"),
        plot,
        stream("stdout", "b\n"),
        v4.new_output("execute_result", {"text/plain": "1"}, execution_count=1),
    ]


def test_the_executions_stay_as_they_are() -> None:
    first = stream("stdout", "a")
    outputs_in_notebook(first, stream("stdout", "b"))
    assert first == stream("stdout", "a")


def test_cells_that_did_not_run_have_neither_number_nor_output() -> None:
    text = "```{.python .exercise}\n____\n```\n\n```python\n1\n```\n"
    episode = read_episode("episodes/page.md", text)
    notebook = to_notebook(episode, "python", for_instructors=True)
    with_outputs(notebook, [Execution(episode.blocks[1])])
    numbers = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert numbers == [None, 1]
