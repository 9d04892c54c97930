"""Notebook, what happened in its blocks → the notebook with these outputs. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nbformat import NotebookNode

from lesson_runner.page.plain_text import plain
from lesson_runner.run.happened import Execution


def with_outputs(notebook: NotebookNode, executions: Iterable[Execution]) -> NotebookNode:
    """The cells that ran are numbered in their order; starter code has no number, no output."""
    by_line = {execution.block.line: execution for execution in executions}
    number = 0
    for cell in notebook.cells:
        execution = by_line.get(cell["metadata"].get("line"))
        if cell["cell_type"] == "code" and execution is not None:
            number += 1
            cell["execution_count"] = number
            cell["outputs"] = list(_settled(execution.outputs, number))
    return notebook


def _settled(outputs: Iterable[Mapping[str, Any]], number: int) -> Iterator[NotebookNode]:
    """Outputs with each stream in one piece: how it was split is a matter of timing."""
    last: NotebookNode | None = None
    for output in outputs:
        if output["output_type"] == "stream":
            if last is not None and last["name"] == output["name"]:
                last["text"] += output["text"]
                continue
            if last is not None:
                yield _as_seen(last)
            last = NotebookNode(output)
            continue
        if last is not None:
            yield _as_seen(last)
        last = None
        numbered = {"execution_count": number} if "execution_count" in output else {}
        yield NotebookNode({**output, **numbered})
    if last is not None:
        yield _as_seen(last)


def _as_seen(stream: NotebookNode) -> NotebookNode:
    """Only the final state of a progress bar."""
    return NotebookNode(stream | {"text": plain(stream["text"])})
