// Cells that are put into a notebook, and the line of options of one that is there.

import { CodeCell } from '@jupyterlab/cells';
import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';

export const TASKS = ['answer', 'translate', 'reformulate', 'summarize', 'describe', 'classify', 'extract'] as const;
export type Task = (typeof TASKS)[number];

/** What a new cell of a task begins with: the options without which it says only what it misses. */
export function taskCell(task: Task): string {
  const needed: { [name in Task]?: string } = {
    translate: ' --to fr',
    classify: ' --labels praise,complaint,neutral',
    extract: " -e 'name: the name' -e 'year: (int) the year'"
  };
  return `%%llm_${task}${needed[task] ?? ''}\n`;
}

const LOADS = /^\s*%(?:load_ext|reload_ext)\s+llm_magics\b/m;

function sources(panel: NotebookPanel): string[] {
  return Array.from(panel.content.model?.cells ?? [], cell => cell.sharedModel.getSource());
}

/** Whether the notebook looks as if its kernel may have our extension loaded. */
export function usesMagics(panel: NotebookPanel): boolean {
  return sources(panel).some(source => LOADS.test(source) || /^\s*%%?llm_[a-z]/m.test(source));
}

function put(panel: NotebookPanel, source: string): void {
  const cell = panel.content.activeCell;
  // A fresh notebook has an empty cell: it is filled, and no empty one stays above.
  if (!(cell instanceof CodeCell) || cell.model.sharedModel.getSource().trim()) NotebookActions.insertBelow(panel.content);
  panel.content.activeCell?.model.sharedModel.setSource(source);
}

/** Put a cell below the active one, and run it if `run`; before the first one, a cell that loads the extension, which is run. */
export async function insertCell(panel: NotebookPanel, source: string, run: boolean): Promise<void> {
  if (!sources(panel).some(cell => LOADS.test(cell))) {
    put(panel, '%load_ext llm_magics');
    void NotebookActions.run(panel.content, panel.sessionContext);
  }
  put(panel, source);
  await runOrEdit(panel, run);
}

/** Put a cell below the one that shows an element of class `beside`; false where `panel` shows none. */
export async function insertBeside(panel: NotebookPanel, beside: string, source: string): Promise<boolean> {
  const index = panel.content.widgets.findIndex(cell => cell.node.getElementsByClassName(beside).length > 0);
  if (index < 0) return false;
  panel.content.activeCellIndex = index;
  NotebookActions.insertBelow(panel.content);
  panel.content.activeCell?.model.sharedModel.setSource(source);
  await runOrEdit(panel, false);
  return true;
}

async function runOrEdit(panel: NotebookPanel, run: boolean): Promise<void> {
  if (run) {
    await NotebookActions.run(panel.content, panel.sessionContext);
    return;
  }
  // JupyterLab makes a cell's editor when the cell comes into view.
  await panel.content.scrollToItem(panel.content.activeCellIndex);
  await panel.content.activeCell?.ready;
  panel.content.mode = 'edit';
  const editor = panel.content.activeCell?.editor;
  const end = panel.content.activeCell?.model.sharedModel.getSource().length ?? 0;
  editor?.setCursorPosition(editor.getPositionAt(end) ?? { line: 0, column: 0 });
  editor?.focus();
}

/** Run the active cell with `options` in its line of options, where they replace what they contradict: the notebook says what was run. */
export async function runWith(panel: NotebookPanel, options: string): Promise<void> {
  const model = panel.content.activeCell?.model.sharedModel;
  if (!model) return;
  model.setSource(withOptions(model.getSource(), options));
  await NotebookActions.run(panel.content, panel.sessionContext);
}

/** The words of a line, each with its quotes. */
function words(line: string): string[] {
  return line.match(/(?:[^\s"']|"[^"]*"|'[^']*'|["'])+/g) ?? [];
}

/** `source` with `options` ("--lang fr --no-stream") at the end of its first line; what it said of the same options is taken away. */
export function withOptions(source: string, options: string): string {
  const [, blank, line, rest] = /^(\s*)([^\n]*)([^]*)$/.exec(source) ?? ['', '', source, ''];
  const given = words(options);
  // Option -> whether a value follows it.
  const takes = new Map(given.map((word, at) => [word, at + 1 < given.length && !given[at + 1]?.startsWith('-')] as const));
  const kept: string[] = [];
  let skip = false;
  for (const word of words(line ?? '')) {
    const [name = word] = word.split('=');
    if (!skip && !(name.startsWith('-') && takes.has(name))) kept.push(word);
    skip = !skip && name === word && word.startsWith('-') && takes.get(word) === true;
  }
  return `${blank}${[...kept, ...given].join(' ')}${rest}`;
}

/** The task of a cell, or null where it runs none. */
export function taskOf(source: string): Task | null {
  const word = /^\s*%%llm_([a-z]+)/.exec(source)?.[1];
  return TASKS.find(task => task === word) ?? null;
}
